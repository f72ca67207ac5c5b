# frozen_string_literal: true

require "homeward/replay/errors"

module Homeward
  module Replay
    MET = "homeward.met"
    COMMITTED = "homeward.committed"

    # What ActiveRecord's statements tell of the request that this thread serves: an error that the
    # app makes a page of its own of, and that something is committed.
    module Statements
      KEY = :homeward_replay_env
      HARMLESS = /\A\s*(SELECT|SHOW|SET|BEGIN|START|SAVEPOINT|RELEASE|ROLLBACK|EXPLAIN|DISCARD)\b/i.freeze
      COMMIT = /\A\s*COMMIT\b/i.freeze

      def self.within(env)
        before = Thread.current[KEY]
        Thread.current[KEY] = env
        yield
      ensure
        Thread.current[KEY] = before
      end

      # payload: of the notification "sql.active_record".
      def self.note(payload)
        env = Thread.current[KEY]
        return if env.nil?

        if payload[:exception_object]
          met = Errors.met(payload[:exception_object])
          env[MET] = met unless met.cause == :none
        elsif commits?(payload)
          env[COMMITTED] = true
        end
      end

      # A standby commits nothing, whatever it answers.
      def self.commits?(payload)
        sql = payload[:sql].to_s
        connection = payload[:connection]
        return false if sql.match?(HARMLESS) || payload[:name] == "SCHEMA" || connection.nil?
        return false unless sql.match?(COMMIT) || !connection.transaction_open?

        connection.raw_connection.parameter_status("in_hot_standby") != "on"
      rescue StandardError
        true
      end
      private_class_method :commits?
    end
  end
end
