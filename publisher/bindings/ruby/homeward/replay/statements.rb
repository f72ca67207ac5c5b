# frozen_string_literal: true

require "homeward/replay/errors"

module Homeward
  module Replay
    MET = "homeward.met"
    COMMITTED = "homeward.committed"

    # What its statements tell of the request that this thread serves: an error that the app makes a
    # page of its own of, and that something is committed. Told by PgStatements, and for other engines
    # by ActiveRecord's notifications.
    module Statements
      KEY = :homeward_replay_env
      HARMLESS = /\A\s*(SELECT|SHOW|SET|BEGIN|START|SAVEPOINT|RELEASE|ROLLBACK|EXPLAIN|DISCARD|DEALLOCATE)\b/i.freeze
      COMMIT = /\A\s*COMMIT\b/i.freeze

      def self.within(env)
        before = Thread.current[KEY]
        Thread.current[KEY] = env
        yield
      ensure
        Thread.current[KEY] = before
      end

      # Of the request that this thread serves, or nil.
      def self.env
        Thread.current[KEY]
      end

      # payload: of the notification "sql.active_record".
      def self.note(payload)
        return if env.nil?

        if payload[:exception_object]
          note_error(env, payload[:exception_object])
        elsif commits?(payload)
          env[COMMITTED] = true
        end
      end

      # The ROLLBACK after a COMMIT whose answer was lost fails for want of a connection: whether that
      # COMMIT came through is as unknown as before.
      def self.note_error(env, error)
        met = Errors.met(error)
        return if met.cause == :none
        return if met.cause == :connection && env[MET]&.cause == :outcome_unknown

        env[MET] = met
      rescue StandardError
        nil
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
