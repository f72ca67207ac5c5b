# frozen_string_literal: true

# Whatever a request hands to the publisher, it gets an answer and no exception.

require "homeward"
require "bigdecimal"

told = []
publisher = Homeward::Publisher.new(region: "ams", app: "ruby", nats_urls: ENV.fetch("NATS_URL"),
                                    on_log: ->(line) { told << line })

def expect(what, wanted, got)
  raise "#{what}: wanted #{wanted.inspect}, got #{got.inspect}" unless wanted == got
end

class Stubborn
  def to_s
    raise "cannot be told"
  end
  alias to_json to_s
end

class Unwritten
  def to_json(*)
    raise NotImplementedError
  end
  alias to_r to_json
end

# By on_log, once.
expect_told = lambda do |line|
  100.times { told.join.include?(line) ? break : sleep(0.1) }
  expect "said: #{line}", 1, told.join.scan(line).size
end

base = { actor: "a", action: "odd", resource: "r", outcome: "allowed" }
audit = ->(more = {}, **options) { publisher.audit(**base, **more, **options) }

# Taken: what can be told is told, and counted. The test compares these rows.
{
  "invalid UTF-8" => "caf\xE9",
  "binary" => "\xFF\x00\x80".b,
  "binary that is UTF-8" => "café".b,
  "Latin-1" => "caf\xE9".dup.force_encoding("ISO-8859-1"),
  "UTF-16" => "café".encode("UTF-16LE"),
  "half of a pair" => "\xED\xA0\x80"
}.each { |what, text| expect what, :accepted, audit.(actor: text, resource: what, action: "scrub") }
expect "in depth", :accepted, audit.(detail: { "k\xFF" => ["v\xFF", { x: "y\xFF" }] })
expect "scrubbed", true, publisher.stats[:scrubbed] >= 3
expect "a symbol value", :accepted, audit.(actor: :admin)
expect "a symbol type", :accepted, publisher.emit(:audit, base)
expect "a string class", :accepted, publisher.emit("audit", base, event_class: "audit")
expect "a time as a number", :accepted, audit.(time: 1_790_000_000.5)
expect "a decimal", :accepted, audit.(detail: { price: BigDecimal("1.5") })

# Refused, in one word.
circle = {}
circle[:self] = circle
{
  "NaN" => -> { publisher.metric(name: "m", kind: "gauge", value: Float::NAN) },
  "Infinity" => -> { publisher.metric(name: "m", kind: "gauge", value: Float::INFINITY) },
  "a circle" => -> { audit.(detail: circle) },
  "no fields" => -> { publisher.emit("audit", nil) },
  "a list" => -> { publisher.emit("audit", [1, 2]) },
  "no type" => -> { publisher.emit(nil, base) },
  "an unknown class" => -> { publisher.emit("audit", base, event_class: :gossip) },
  "no time" => -> { audit.(time: "yesterday") },
  "no wait" => -> { audit.(wait: "long") },
  "a time out of range" => -> { audit.(time: Time.at(1e18)) },
  "what cannot be told" => -> { audit.(actor: Stubborn.new) },
  "what nobody has written" => -> { audit.(actor: Unwritten.new) },
  "a time that nobody has written" => -> { audit.(time: Unwritten.new) },
  "a class that cannot be told" => -> { publisher.emit("audit", base, event_class: Stubborn.new) },
  "no JSON text" => -> { publisher.emit_json("audit", nil) }
}.each { |what, emit| expect what, :invalid, emit.call }
expect "without a required field", :incomplete, publisher.emit("audit", { actor: "a" })
expect "invalid", 15, publisher.stats[:invalid]

# A type of one's own has the required fields that the app names.
publisher.define(:parcel, required: %i[code weight_g])
expect "without its field", :incomplete, publisher.emit("parcel", { code: "p1" })
expect "with its fields", :accepted, publisher.emit("parcel", { weight_g: 1, code: "p1" })
begin
  publisher.define("parcel", required: ["Code"])
  raise "a name was taken that no field has"
rescue Homeward::SetupError => e
  expect "the type", true, e.message.include?('define("parcel")')
end

# As in C++: what was not taken by reason, whether the library or Ruby refused it.
expect "too large", :too_large, audit.(detail: { text: "x" * 300_000 })
expect "no JSON", :invalid, publisher.emit_json("audit", "{")
refusals = publisher.stats[:audit_refusals]
reasons = %i[lane_full scope_full too_large type_unwritable invalid incomplete unavailable closed]
expect "reasons", reasons, refusals.keys
expect "by reason", { too_large: 1, invalid: 14, incomplete: 2 }, refusals.reject { |_, n| n.zero? }
expect "their sum", 17, publisher.stats[:audit][:refused]
expect "metrics by reason", 2, publisher.stats[:metric_refusals][:invalid]
expect "all invalid", 16, publisher.stats[:invalid]
expect_told.("audit events are refused: the leader could not read")
expect_told.("metric events are refused: the leader could not read")
expect "nothing dropped", 0, publisher.stats[:metric_dropped]

# Options of the library's, all of them.
begin
  Homeward::Publisher.new(region: "ams", app: "ruby", inbox_prefix: "_INBOX.*", resend_age_ms: -1,
                          resend_bytes_max: 1 << 20, spool_bytes_max: 64 << 20)
  raise "a wildcard was taken"
rescue Homeward::SetupError => e
  expect "the prefix", true, e.message.include?("inbox_prefix")
end
other = Homeward::Publisher.new(region: "ams", app: "ruby", nats_urls: ENV.fetch("NATS_URL"),
                                inbox_prefix: "_INBOX.mine", resend_age_ms: 5000,
                                resend_bytes_max: 1 << 20)
expect "an inbox of its own", :accepted, other.audit(**base)
expect "acknowledged there", true, other.flush(10)
other.close

# In a signal's handler.
result = Queue.new
trap("USR1") { result << audit.() }
Process.kill("USR1", Process.pid)
expect "in a trap", :accepted, result.pop

# In a child's, whose first emit it is.
read, write = IO.pipe
pid = fork do
  trap("USR1") { write.puts(audit.()) }
  Process.kill("USR1", Process.pid)
  sleep 0.1
end
Process.wait(pid)
write.close
expect "in a child's trap", "accepted\n", read.read
expect "the child's end", 0, $?.exitstatus

# A child counts from zero, also if its first event is refused.
pid = fork do
  publisher.metric(name: "m", kind: "gauge", value: Float::NAN)
  stats = publisher.stats
  exit!(stats[:invalid] == 1 && stats[:metric_refusals][:invalid] == 1)
end
Process.wait(pid)
expect "a child's counts", 0, $?.exitstatus

# After its end.
publisher.close
expect "closed", :closed, audit.()
publisher.close # as at exit
expect_told.("audit events are refused: the publisher is closed")
