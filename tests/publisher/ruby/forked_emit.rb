# frozen_string_literal: true

# Prints how long the first emit of a forked worker took, in ms, and what the parent's on_log and
# the child's end were; NATS does not answer.

require "homeward"

lines = Queue.new
publisher = Homeward::Publisher.new(
  region: "ams", app: "ruby", nats_urls: ENV.fetch("NATS_URL"),
  exit_wait: 0.5, on_log: ->(line) { lines << line }
)
event = { actor: "worker", action: "run", resource: "1", outcome: "allowed" }
publisher.audit(**event)
# The parent may be told things by its server meanwhile.
Process.kill("STOP", Integer(ENV.fetch("NATS_PID"))) if ENV["NATS_PID"]
pids = 4.times.map do
  fork do
    begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    result = publisher.audit(**event)
    took = (Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun) * 1000
    puts "#{result} #{took.ceil}"
    $stdout.flush
  end
end
pids.each do |pid|
  Process.wait(pid)
  puts "end #{$?.exitstatus.inspect} #{$?.termsig.inspect}"
end
puts "log #{lines.empty? ? 'empty' : 'told'}"
