# frozen_string_literal: true

# As order_program call, outcome, abandon and fork. REPLICA_URL and TOKEN_KEYS: waits for the
# replica. "gvl": other threads run while a call waits. "child": a forked child calls for ever, and says
# when that changes its outcome.

require "homeward"

command, nats, *words = ARGV
session = nil
if ENV["REPLICA_URL"]
  session = Homeward::Replay::Session.new(ENV["REPLICA_URL"], ENV.fetch("TOKEN_KEYS"), wait_max_ms: 5000)
end
primary = Homeward::Forward::Client.new(region: "ams", app: "shop", nats_urls: nats, deadline: 10,
                                        session: session, on_log: ->(line) { warn "log: #{line}" })

def show(reply, who = "")
  states = Homeward::Forward::Native::REPLICA_STATES
  puts "#{who}#{reply.outcome} code=#{reply.code} stored=#{reply.stored ? 1 : 0} " \
       "token=#{reply.session_token ? 1 : 0} replica=#{states.index(reply.replica)}: #{reply.body}"
  $stdout.flush
end

def show_changes(primary)
  told = nil
  parent = Process.ppid
  while Process.ppid == parent # the test kills that one
    outcome = primary.call("order.place", "tea", deadline: 0.5).outcome
    now = "#{outcome} connected=#{primary.connected?}"
    puts now unless now == told
    told = now
    $stdout.flush
    sleep 0.1
  end
end

case command
when "call"
  operation, key, body, deadline_ms = words
  show primary.call(operation, body, key: key, deadline: Integer(deadline_ms) / 1000r)
when "outcome" then show primary.outcome(words[0])
when "abandon" then show primary.abandon(words[0])
when "fork"
  show primary.call("order.place", "tea", key: "fork-1"), "parent "
  pid = fork { show primary.call("order.place", "tea", key: "fork-2"), "child " }
  Process.wait(pid)
  abort "the child ended with #{$?}" unless $?.success?
  show primary.call("order.place", "tea", key: "fork-3"), "parent "
  primary.close
when "child"
  primary.outcome("parent")
  fork { show_changes(primary) }
  Process.wait
when "gvl"
  ticks = 0
  counter = Thread.new { loop { (ticks += 1) && sleep(0.01) } }
  show primary.call("order.place", "hang", key: words[0], deadline: 2)
  counter.kill
  puts "ticks #{ticks}"
else
  abort "unknown command #{command}"
end
