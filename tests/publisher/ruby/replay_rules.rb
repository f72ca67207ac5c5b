# frozen_string_literal: true

# decide() as Ruby has it, against rules.json (ARGV[0]); the regional URL; the Rack middleware's own
# part: what it makes of a decision, and what it lets pass.

require "homeward"
require "json"

include Homeward

def expect(what, wanted, got)
  raise "#{what}: wanted #{wanted.inspect}, got #{got.inspect}" unless wanted == got
end

rules = JSON.parse(File.read(ARGV.fetch(0)), symbolize_names: true)
NAMES = %i[cause server_role coverage].freeze
rules[:cases].each do |one|
  situation = one[:situation].to_h { |key, value| [key, NAMES.include?(key) ? value.to_sym : value] }
  decision = Replay.decide(Replay::Regions.new(one[:primary], one[:current]),
                           Replay.policy(**one.fetch(:policy, {})), **situation)
  told = { verdict: decision.verdict.to_s, reason: decision.reason.to_s, status: decision.status,
           retry_after_s: decision.retry_after_s }
  expect one.inspect, one[:decision], told
end
expect "cases", true, rules[:cases].size > 300

# The guide's, byte for byte.
ENV["DATABASE_URL"] = "postgres://u:p%40@chaos-postgres.internal:5432/rails_on_fly?sslmode=disable"
ENV["PRIMARY_REGION"] = "scl"
%w[ord atl ams syd].each do |region|
  ENV["FLY_REGION"] = region
  expect region, "postgres://u:p%40@#{region}.chaos-postgres.internal:5433/rails_on_fly?sslmode=disable",
         Replay.database_url
end
ENV["FLY_REGION"] = "scl"
expect "scl", ENV["DATABASE_URL"], Replay.database_url
ENV["FLY_REGION"] = "ord"
ENV["DATABASE_URL"] = "postgres://u:secret@127.0.0.1/x"
begin
  Replay.database_url
  raise "an address was taken"
rescue SetupError => e
  expect "no secret", false, e.message.include?("secret")
end

# The middleware over apps that need no database.
AMS = Replay::Regions.new("scl", "ams")
READ_ONLY = Replay::Errors::Met.new(:read_only, :standby)
Body = Struct.new(:is_closed) do
  def each; end

  def close
    self.is_closed = true
  end
end

def ask(app, method: "POST", path: "/orders", headers: {}, **options)
  env = { "REQUEST_METHOD" => method, "PATH_INFO" => path }.merge(headers)
  Replay::Middleware.new(app, regions: AMS, **options).call(env)
end

body = Body.new(false)
page = lambda do |env|
  env[Replay::MET] = READ_ONLY
  [500, { "set-cookie" => "half=done" }, body]
end
status, headers, = ask(page)
expect "a page for the error", [409, { "fly-replay" => "region=scl", "cache-control" => "no-store" }],
       [status, headers]
expect "its body", true, body.is_closed
expect "behind nginx", { "fly-replay" => "region=scl", "x-accel-redirect" => "@to_scl" },
       ask(page, accel_prefix: "@to_")[1]
expect "replayed already", 503, ask(page, headers: { "HTTP_FLY_REPLAY_SRC" => "x" })[0]
expect "a bad region", 500, ask(page, regions: Replay::Regions.new("s c\r\nl", "ams"))[0]
expect "passthrough", 500, ask(page, path: "/cable", passthrough: ["/cable"])[0]
expect "not quite", 409, ask(page, path: "/cable/../orders", passthrough: ["/cable/*"])[0]
expect "by method", 409, ask(->(_) { raise "not asked" }, policy: { writes_by_method: true })[0]
recovered = lambda do |env|
  env[Replay::MET] = READ_ONLY
  [200, {}, []]
end
expect "an error that the app got over", 200, ask(recovered)[0]
committed = lambda do |env|
  Replay.committed!(env)
  page.call(env)
end
expect "committed", 500, ask(committed)[0]
begin
  ask(->(_) { raise ArgumentError, "the app's own" })
  raise "it was hidden"
rescue ArgumentError
  nil
end
begin
  Replay.policy(writes: true)
  raise "an unknown policy was taken"
rescue ArgumentError
  nil
end

Signs = Struct.new(:token) do
  alias_method :sign, :token
  def look(_tokens)
    %i[behind standby]
  end
end
session = Signs.new("v1.token")
two = ask(->(_) { [201, { "Set-Cookie" => "a=b" }, []] }, session: session)[1]
expect "two cookies", ["a=b", Replay::Session.set_cookie("v1.token")], two["Set-Cookie"].split("\n")
three = ask(->(_) { [201, { "set-cookie" => %w[a=b c=d] }, []] }, session: session)[1]
expect "a list", 3, three["set-cookie"].size
expect "the header", "v1.token", three["homeward-seen"]
behind = ask(->(_) { [200, {}, []] }, method: "GET", session: session,
             headers: { "HTTP_COOKIE" => "x=y; __Host-homeward_seen=v1.t" })
expect "behind", 409, behind[0]
expect "another cookie", 200, ask(->(_) { [200, {}, []] }, method: "GET", session: session,
                                  headers: { "HTTP_COOKIE" => "x__Host-homeward_seen=v1.t" })[0]
lines = []
logger = Struct.new(:lines) { define_method(:info) { |line| lines << line } }.new(lines)
ask(page, path: "/caf\xC3\xA9\e[31m", logger: logger)
expect "a log line", ["homeward: POST /caf???[31m: it wrote to a read replica: replayed in the " \
                      "primary region (409, read_only_error)"], lines
