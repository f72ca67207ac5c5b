# frozen_string_literal: true

# An app under Puma in cluster mode with preload: the publisher is made in the master.

require "homeward"

PUBLISHER = Homeward::Publisher.new(region: "ams", app: "puma", nats_urls: ENV.fetch("NATS_URL"))
PUBLISHER.audit(actor: "master", action: "boot", resource: "1", outcome: "allowed")

run(lambda do |_env|
  result = PUBLISHER.audit(actor: "worker", action: "view", resource: "1", outcome: "allowed")
  [200, { "content-type" => "text/plain" }, [result.to_s]]
end)
