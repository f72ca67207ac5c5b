# frozen_string_literal: true

require "homeward/replay/native"

module Homeward
  module Replay
    # What an exception of pg, ActiveRecord or Sequel means: by SQLSTATE, and by its class where the
    # server could not say one. Never by message text.
    module Errors
      DEPTH_MAX = 8
      CONNECTING = /in [`'](?:.*#)?(?:block .*in )?(?:new|connect|open|async_connect\w*|connect_to_hosts|iterate_hosts)/.freeze
      Met = Struct.new(:cause, :server_role)
      NONE = Met.new(:none, :unknown).freeze

      # The first error of the database's in a chain of causes.
      def self.met(error)
        DEPTH_MAX.times do
          return NONE if error.nil?
          return of_pg(error) if defined?(PG::Error) && error.is_a?(PG::Error)

          error = wrapped(error)
        end
        NONE
      end

      def self.of_pg(error)
        state = sqlstate(error)
        return Met.new(lost(error), :unknown) if state.nil?

        cause = Native::CAUSES[Native.homeward_cause_of_sqlstate(state)]
        Met.new(cause, %i[read_only conflict].include?(cause) ? role(error) : :unknown)
      end
      private_class_method :of_pg

      # Sequel keeps what it wraps in a method of its own.
      def self.wrapped(error)
        inner = error.wrapped_exception if error.respond_to?(:wrapped_exception)
        inner || error.cause
      end
      private_class_method :wrapped

      def self.sqlstate(error)
        error.result&.error_field(PG::Result::PG_DIAG_SQLSTATE)
      rescue PG::Error
        nil
      end
      private_class_method :sqlstate

      # A connection that was refused has done nothing, nor has a statement that could not be sent.
      # Of a connection that was lost nobody knows whether its last statement was committed.
      def self.lost(error)
        return :connection if error.is_a?(PG::UnableToSend)
        return :other unless error.is_a?(PG::ConnectionBad)

        connecting?(error) ? :connection : :outcome_unknown
      end
      private_class_method :lost

      def self.connecting?(error)
        (error.backtrace || []).any? do |line|
          line.include?("pg/connection.rb") && line.match?(CONNECTING)
        end
      end
      private_class_method :connecting?

      # Without a question: the server tells these two when they change (PostgreSQL 14 and newer).
      def self.role(error)
        connection = error.respond_to?(:connection) ? error.connection : nil
        return :unknown if connection.nil?

        standby = connection.parameter_status("in_hot_standby")
        return :unknown if standby.nil?
        return :standby if standby == "on"

        is_read_only = connection.parameter_status("default_transaction_read_only") == "on"
        is_read_only ? :read_only_primary : :primary
      rescue PG::Error
        :unknown
      end
      private_class_method :role
    end
  end
end
