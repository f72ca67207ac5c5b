# frozen_string_literal: true

require "homeward/replay/statements"

module Homeward
  module Replay
    # Prepended to PG::Connection, which ActiveRecord, Sequel and pg have in common: tells Statements of
    # each answer that a request's thread has waited for. Raises nothing of its own.
    module PgStatements
      WITH_SQL = %w[exec query exec_params].freeze
      WITHOUT_SQL = %w[exec_prepared prepare get_last_result].freeze
      NOTHING_DONE = ["", "ROLLBACK"].freeze # command tags; "" of a prepare

      # pg has each of them by up to three names.
      def self.watch
        require "pg"
        return if PG::Connection.include?(self)

        ["", "async_", "sync_"].product(WITH_SQL + WITHOUT_SQL) do |prefix, name|
          method = "#{prefix}#{name}"
          wrap(method, WITH_SQL.include?(name)) if PG::Connection.method_defined?(method)
        end
        PG::Connection.prepend(self)
      rescue LoadError
        nil # an app of another engine
      end

      def self.wrap(method, has_sql)
        define_method(method) do |*args, &block|
          env = Statements.env
          next super(*args, &block) if env.nil?

          begin
            result = super(*args, &block)
          rescue PG::Error => e
            Statements.note_error(env, e)
            raise
          end
          sql = args.first if has_sql
          env[COMMITTED] ||= PgStatements.commits?(self, sql, result, block)
          result
        end
      end
      private_class_method :wrap

      # A statement that its SQL or its command tag shows to be more than a read, and that leaves no
      # transaction open. A standby commits nothing. block: took the result, and the tag with it.
      def self.commits?(connection, sql, result, block)
        tag = result&.cmd_status.to_s unless block
        return false if NOTHING_DONE.include?(tag)

        known = [sql, tag].compact
        return false if known.any? && known.all? { |text| text.match?(Statements::HARMLESS) }

        connection.transaction_status == PG::PQTRANS_IDLE &&
          connection.parameter_status("in_hot_standby") != "on"
      rescue StandardError
        true
      end
    end
  end
end
