# frozen_string_literal: true

# A Ruby app as languages_test runs it: threads, forked workers, requests in scopes.

require "homeward"

def expect(what, wanted, got)
  raise "#{what}: wanted #{wanted.inspect}, got #{got.inspect}" unless wanted == got
end

def audit(publisher, actor, action, **more)
  publisher.audit(actor: actor, action: action, resource: "order:1", outcome: "allowed", **more)
end

begin
  Homeward::Publisher.new(region: "Not A Region", app: "shop")
  raise "a bad region was taken"
rescue Homeward::SetupError => e
  expect "the reason", true, e.message.include?("region")
end

lines = Queue.new
publisher = Homeward::Publisher.new(
  region: "ams", app: "ruby", nats_urls: [ENV.fetch("NATS_URL")],
  spool_dir: ENV.fetch("SPOOL_DIR"), durability: :process, linger_ms: 5,
  on_log: ->(line) { lines << line }
)

4.times.map do
  Thread.new do
    250.times { expect "an emit", :accepted, audit(publisher, "ruby", "order.view") }
  end
end.each(&:join)
audit(publisher, "ruby", "order.old", time: Time.utc(2026, 1, 2, 3, 4, 5.678901r))
expect "an emit that would wait", :accepted, audit(publisher, "ruby", "order.wait", wait: 1)

# Workers as Puma and Unicorn make them, of a master that has already emitted.
workers = 3.times.map do
  fork do
    100.times { expect "a worker's emit", :accepted, audit(publisher, "ruby worker", "order.view") }
    expect "a worker's rest", 0, publisher.close(30)
    exit!(0)
  end
end
workers.each { |pid| expect "a worker's end", 0, Process.wait2(pid)[1].exitstatus }

# A request that is replayed leaves nothing, one that is not, or that fails, leaves its event.
app = lambda do |env|
  expect "an emit in a request", :held, audit(publisher, "ruby", "request.#{env['kind']}")
  raise ArgumentError if env["kind"] == "failed"

  env["kind"] == "replayed" ? [409, { "Fly-Replay" => "region=scl" }, []] : [200, {}, []]
end
stack = Homeward::ReplayScope.new(app, publisher)
10.times do
  expect "a status", 200, stack.call({ "kind" => "local" })[0]
  expect "a status", 409, stack.call({ "kind" => "replayed" })[0]
end
begin
  stack.call({ "kind" => "failed" })
rescue ArgumentError
  # as the app's own error page would
end
publisher.scope do |scope|
  audit(publisher, "ruby", "request.replayed")
  expect "held", 1, scope.held
  scope.drop
  expect "a publish after that", :closed, scope.publish
end

expect "a huge event", :too_large,
       publisher.emit("audit", { actor: "x" * 300_000 }, event_class: :audit)
expect "a flush", true, publisher.flush(30)
stats = publisher.stats
expect "accepted", 1013, stats[:audit][:accepted]
expect "acked", 1013, stats[:audit][:acked]
expect "the log's bound", 256 << 20, stats[:audit][:log_bytes_max]
expect "the metric log's bound", 256 << 20, stats[:metric][:log_bytes_max]
expect "what is left", 0, publisher.close(30)
expect "an emit after the close", :closed, Thread.new { audit(publisher, "ruby", "late") }.value
