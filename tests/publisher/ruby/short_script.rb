# frozen_string_literal: true

# A script that emits and ends without a word: no flush, no close. ARGV: how many events, and how
# the script ends.

require "homeward"

publisher = Homeward::Publisher.new(region: "ams", app: "ruby", nats_urls: ENV.fetch("NATS_URL"))
emit = lambda do
  ARGV.fetch(0).to_i.times do |n|
    publisher.audit(actor: "script", action: "run", resource: n.to_s, outcome: "allowed")
  end
end

case ARGV[1]
when "thread"
  # A main thread that emitted itself would keep ffi from unloading the library. The objects make
  # the interpreter's end take long enough for a thread of the library to wake up in it.
  Thread.new(&emit).join
  KEPT = Array.new(300_000) { FFI::MemoryPointer.new(8) }.freeze
when "raise"
  emit.call
  raise "as scripts end that fail"
else
  emit.call
end
