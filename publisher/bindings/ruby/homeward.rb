# frozen_string_literal: true

# Homeward for Ruby, on libhomeward by FFI (gem or Debian package ruby-ffi).
#
#   HOMEWARD = Homeward::Publisher.new(region: ENV["FLY_REGION"], app: "shop",
#                                      nats_urls: ENV["NATS_URL"], spool_dir: "/var/lib/shop")
#   HOMEWARD.audit(actor: "user:42", action: "order.view", resource: "order:1", outcome: "allowed")
#   SECONDS = HOMEWARD.meter.histogram("http.server.request.duration", unit: "s")
#   SECONDS.record(0.012)
#
# Any thread may emit. An emit never waits and never raises. See README.md beside this file.

require "homeward/native"
require "homeward/event_text"
require "homeward/log_reader"
require "homeward/scope"
require "homeward/meter"
require "homeward/publisher"
require "homeward/replay"
require "homeward/forward"
require "homeward/railtie" if defined?(Rails::Railtie)
