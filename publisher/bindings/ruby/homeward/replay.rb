# frozen_string_literal: true

# The replay helper for Rack: see README.md beside homeward.rb.

require "homeward/replay/native"
require "homeward/replay/decide"
require "homeward/replay/errors"
require "homeward/replay/session"
require "homeward/replay/statements"
require "homeward/replay/middleware"

module Homeward
  module Replay
    # With HOMEWARD_REPLAY_KEYS a session reads its own writes; nil without.
    def self.session_from_environment
      keys = ENV.fetch("HOMEWARD_REPLAY_KEYS", "")
      keys.empty? ? nil : Session.new(ENV.fetch("DATABASE_URL"), keys)
    end
  end
end
