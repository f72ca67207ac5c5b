# frozen_string_literal: true

# As order_program serve, by pulling, with bodies more for what exceptions do.
#
#   order_server.rb NATS_URL DATABASE_URL

require "homeward/forward/server"

nats, database = ARGV
server = Homeward::Forward::Server.new(
  region: "scl", app: "shop", nats_urls: nats, database_url: database,
  token_keys: ENV.fetch("TOKEN_KEYS", nil), on_log: ->(line) { warn "log: #{line}" },
  on_error: ->(error, call) { warn "on_error: #{error.class} #{call.key}" }
)

INSERT = "INSERT INTO orders VALUES ($1, $2)"

def place(tx, call)
  return values(tx) if call.body == "values"

  tx.exec(INSERT, [call.key, call.body])
  raise "not inserted" unless tx.affected_rows == 1

  case call.body
  when "own" then raise Homeward::Forward::CallFailed.new("out_of_stock", "no tea")
  when "sql" then tx.exec("SELECT 1/0")
  when "hang" then tx.exec("SELECT pg_sleep(30)")
  when "on" then swallow { tx.exec("SELECT 1/0") }
  when "commit" then tx.exec("COMMIT")
  when "raise" then raise IndexError, "the shop burns"
  when "script" then raise NotImplementedError, "not yet"
  when "conflict" then run_into_conflict(tx)
  when "kill others" then other_workers.each(&:kill)
  when "kill" then Thread.current.kill
  end
  "placed #{call.body} for #{call.region}.#{call.app} by #{call.operation}"
end

$runs = 0

# Fails at its first run as a deadlock would.
def run_into_conflict(tx)
  return if ($runs += 1) > 1

  tx.exec("DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40P01'; END $$")
rescue Homeward::Forward::SqlError
  raise IOError, "an exception of the app's own"
end

def other_workers
  Thread.list.select { |thread| thread.name == "homeward-forward" && thread != Thread.current }
end

def swallow
  yield
rescue Homeward::Forward::SqlError => e
  abort "wrong SQLSTATE #{e.sqlstate}" unless e.sqlstate == "22012"
end

def values(tx)
  rows = tx.exec("SELECT $1::text AS a, $2::text AS b, 7 AS c UNION ALL SELECT 'x', 'y', 8",
                 ["it's ü", nil])
  rows.flat_map { |row| row.map { |name, value| "#{name}=#{value || 'NULL'};" } }.join
end

kept = nil
server.on("order.place") { |tx, call| place(kept = tx, call) }
server.on("order.late") do |_tx, _call|
  kept.exec("SELECT 1")
rescue Homeward::SetupError => e
  e.message
end
server.start
begin
  server.on("order.after") { "never" }
  abort "added after the start"
rescue Homeward::SetupError => e
  abort e.message unless e.message == 'the operation "order.after" was added after the start'
end
stopping = false
trap("TERM") { stopping = true }
sleep 0.02 until stopping
abort "not whole" unless server.close(20)
answered = server.stats[:answered]
puts "ok #{answered[:ok]} failed #{answered[:failed]}"
