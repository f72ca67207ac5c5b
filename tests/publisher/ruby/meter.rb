# frozen_string_literal: true

# Counts and times in threads and in a forked child; what is refused is told, and never raised by a
# measurement. At exit all is reported.

require "homeward"

def expect(what, wanted, got)
  raise "#{what}: wanted #{wanted.inspect}, got #{got.inspect}" unless wanted == got
end

def refusal
  yield
  raise "nothing was refused"
rescue Homeward::SetupError => e
  e.message
end

lines = Queue.new
publisher = Homeward::Publisher.new(region: "ams", app: "ruby", nats_urls: ENV.fetch("NATS_URL"),
                                    exit_wait: 30, on_log: ->(line) { lines << line })
meter = publisher.meter(interval: 3600, series_max: 6)
requests = meter.counter("rb.requests", { route: "/orders", "method" => :GET }, unit: "{request}")
open = meter.up_down_counter("rb.open")
heat = meter.gauge("rb.heat", { place: "caf\xE9" }, unit: "Cel")
seconds = meter.histogram("rb.seconds", unit: "s")

Array.new(4) do
  Thread.new do
    1000.times do |i|
      requests.add(2)
      # The same series, looked up again.
      meter.counter("RB.requests", { method: "GET", route: "/orders" }, unit: "{request}").add
      open.add(i.even? ? 3 : -2)
      seconds.record(i % 4)
    end
  end
end.each(&:join)
expect "a block's value", :done, seconds.time { :done }
begin
  seconds.time { raise "as handlers do" }
rescue RuntimeError
  nil
end
expect "a gauge", true, heat.record(21)
expect "again", true, heat.record(21.5r)

# No measurement raises.
{ "text" => "1", "nothing" => nil, "a fraction" => 1.5, "too much" => 2**70 }.each do |what, value|
  expect "add #{what}", false, requests.add(value)
end
{ "text" => "1", "nothing" => nil, "a complex number" => 1i }.each do |what, value|
  expect "record #{what}", false, seconds.record(value)
end
expect "less than zero", true, requests.add(-1)
expect "NaN", true, seconds.record(Float::NAN)
stats = meter.stats
expect "stats", { series: 4, folded_series: 0, negative: 1, not_finite: 1, closed: 0 }, stats

# What cannot be a series is, and says why.
expect "a name", true, refusal { meter.counter("2xx") }.include?("must begin with a letter")
expect "a kind", true, refusal { meter.gauge("rb.open") }.include?("needs a name of its own")
expect "a unit", true, refusal { meter.counter("u", unit: "two words") }.include?("without spaces")
expect "a zero byte", true, refusal { meter.counter("u", { a: "\0" }) }.include?("zero byte")
expect "an interval", true, refusal { publisher.meter(interval: 0.001) }.include?("interval")
expect "below zero", true, refusal { publisher.meter(interval: -1) }.include?("interval")
expect "series", true, refusal { publisher.meter(series_max: 2_000_000) }.include?("series_max")

# Handles are freed; their series stay.
2000.times { meter.counter("rb.short", { a: "b" }).add(1) }
GC.start
20.times { |i| meter.counter("rb.short", { n: i }).add(1) }
expect "folded", 19, meter.stats[:folded_series]

# In a signal's handler, and in a child, where they start at zero.
result = Queue.new
trap("USR1") { result << requests.add(100) }
Process.kill("USR1", Process.pid)
expect "in a trap", true, result.pop
pid = fork do
  requests.add(7)
  expect "the child's stats", 1, meter.stats[:series]
end
Process.wait(pid)
expect "the child's end", 0, $?.exitstatus
