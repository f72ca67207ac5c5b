# frozen_string_literal: true

# A session over MariaDB, asked by the server's own command. Prints what each step has found.
#
#   mariadb_session.rb LEADER_PORT REPLICA_PORT

require "open3"

require "homeward"

leader_port, replica_port = ARGV
KEYS = "k1:#{'a' * 64}"

def query(port, sql, user: "app")
  command = ["mariadb", "--no-defaults", "-h127.0.0.1", "-P#{port}", "-u#{user}", "-N", "-B", "shop", "-e", sql]
  output, status = Open3.capture2e(*command)
  return nil unless status.success?

  output.lines.first&.chomp&.split("\t", -1)
end

def session_of(port, **more)
  Homeward::Replay::Session.new(nil, KEYS, engine: :mariadb, ask: ->(sql) { query(port, sql) }, **more)
end

leader = session_of(leader_port)
replica = session_of(replica_port, wait_max_ms: 20_000)
impatient = session_of(replica_port, wait_max_ms: 0)

query(leader_port, "INSERT INTO counter VALUES (1)")
puts "written: #{replica.look([leader.sign]).join(' ')}"
query(replica_port, "STOP SLAVE SQL_THREAD", user: "admin")
query(leader_port, "INSERT INTO counter VALUES (2)")
token = leader.sign
puts "stopped: #{impatient.look([token]).join(' ')}"
puts "leader: #{leader.look([token]).join(' ')}"
puts "replica signs: #{impatient.sign.inspect}"
query(replica_port, "START SLAVE SQL_THREAD", user: "admin")
puts "started: #{replica.look([token]).join(' ')}"
puts "rows: #{query(replica_port, 'SELECT count(*) FROM counter').join}"
away = Homeward::Replay::Session.new(nil, KEYS, engine: :mariadb, ask: ->(_sql) {})
puts "away: #{away.look([token]).join(' ')}"
redis = Homeward::Replay::Session.new(nil, KEYS, engine: :redis, ask: ->(_sql) { ["role:master"] })
puts "another engine: #{redis.look([token]).join(' ')}"
[{ engine: :oracle, ask: ->(_sql) {} }, { engine: :mysql }].each do |options|
  Homeward::Replay::Session.new(nil, KEYS, **options)
rescue Homeward::SetupError => e
  puts e.message
end
