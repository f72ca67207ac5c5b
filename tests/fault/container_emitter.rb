# frozen_string_literal: true

# An app in Ruby under test, as emitter.cpp is one in C++: one thread, the same journal.
#
#   container_emitter.rb NATS_URL SPOOL_DIR JOURNAL_DIR RUN EVENTS_PER_SECOND

require "homeward"

nats_url, spool, journals, run, rate = ARGV
publisher = Homeward::Publisher.new(region: "ams", app: "shop", nats_urls: nats_url,
                                    spool_dir: spool)
name = "#{run}-0"
journal = File.open(File.join(journals, name), File::RDWR | File::CREAT | File::EXCL)

# FNV-1a, as tests/support/journal.cpp has it.
hash_of = lambda do |text|
  text.each_byte.reduce(0xcbf29ce484222325) do |hash, byte|
    ((hash ^ byte) * 0x100000001b3) & 0xffffffffffffffff
  end
end

number = 0
loop do
  actor = "ruby:#{name}:#{number * 2_654_435_761}"
  entry = [hash_of.call(actor), 0].pack("Q<Cx7")
  journal.pwrite(entry, number * 16)
  result = publisher.audit(actor: actor, action: "test.emit", resource: "#{name}:#{number}",
                           outcome: "allowed")
  entry.setbyte(8, result == :accepted ? 1 : 2)
  journal.pwrite(entry, number * 16)
  number += 1
  sleep(8.0 / rate.to_f) if (number % 8).zero?
end
