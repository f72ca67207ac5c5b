# frozen_string_literal: true

require "homeward/forward/server_native"

module Homeward
  module Forward
    # What a handler raises to refuse a call: its transaction is rolled back, and code and message
    # are stored as the answer to the call's key.
    class CallFailed < StandardError
      attr_reader :code

      # code: for programs, "out_of_stock"; 1 to 64 of A-Z a-z 0-9 _ . -
      def initialize(code, message = code)
        super(message)
        @code = code
      end
    end

    # A statement has failed. A handler that does not rescue it fails with this code, and runs again
    # after a deadlock or a lost connection.
    class SqlError < StandardError
      attr_reader :sqlstate

      def initialize(message, sqlstate)
        super(message)
        @sqlstate = sqlstate
      end
    end

    # What a caller wants. deadline: as Process.clock_gettime(Process::CLOCK_MONOTONIC).
    Call = Struct.new(:region, :app, :operation, :key, :body, :deadline, keyword_init: true) do
      # Seconds until the caller stops waiting.
      def time_left
        deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end

    # The transaction of one call, which the server begins and commits. It ends with the handler.
    class Transaction
      TEXT_BYTES_MAX = 1000

      # Rows that the last statement has written.
      attr_reader :affected_rows

      def initialize(native)
        @native = native
        @mutex = Mutex.new # who still uses it when the handler has ended finds that out
        @affected_rows = 0
      end

      # Runs a statement; params become texts, nil NULL. Returns an array of hashes, column name to
      # text or nil. Raises SqlError.
      def exec(sql, params = [])
        sql = Native.text(sql)
        texts = params.map { |value| value.nil? ? nil : Native.text(value) }
        values = FFI::MemoryPointer.new(:pointer, texts.size + 1).write_array_of_pointer(texts)
        @mutex.synchronize do
          raise SetupError, "the transaction has ended with its handler" if @native.nil?

          rows = ServerNative.homeward_tx_query(@native, sql, values, texts.size)
          raise sql_error if rows.null?

          take(rows)
        end
      end

      # What the caller wants.
      def call
        native = ServerNative.homeward_tx_call(@native)
        region, app, operation, key = %i[region app operation key].map { |name| utf8(native[name]) }
        Call.new(region: region, app: app, operation: operation, key: key,
                 body: utf8(native[:body].read_bytes(native[:body_bytes])),
                 deadline: native[:deadline_us] / 1e6)
      end

      # For Server. The first of these ends the transaction; further ones do nothing.
      def reply(body)
        bytes = Native.bytes(body)
        finish { |native| ServerNative.homeward_tx_reply(native, bytes, body.bytesize) }
      end

      def refuse(code, text)
        text = text.dup.force_encoding(Encoding::UTF_8).scrub("?").delete("\0")
        finish do |native|
          ServerNative.homeward_tx_fail(native, code.to_s.delete("\0"), text[0, TEXT_BYTES_MAX])
        end
      end

      # By the statement that has failed, if that is the cause.
      def refuse_for(error)
        if Transaction.sql_error?(error)
          finish { |native| ServerNative.homeward_tx_fail(native, nil, nil) }
        else
          refuse("exception", "#{error.class}: #{error.message}")
        end
      end

      def self.sql_error?(error)
        until error.nil?
          return true if error.is_a?(SqlError)

          error = error.cause
        end
        false
      end

      private

      def finish
        @mutex.synchronize do
          native = @native
          @native = nil
          yield native unless native.nil?
        end
      end

      def take(rows)
        @affected_rows = ServerNative.homeward_rows_affected(rows)
        names = Array.new(ServerNative.homeward_rows_columns(rows)) do |column|
          utf8(ServerNative.homeward_rows_name(rows, column))
        end
        Array.new(ServerNative.homeward_rows_count(rows)) do |row|
          names.each_with_index.to_h do |name, column|
            [name, utf8(ServerNative.homeward_rows_value(rows, row, column))]
          end
        end
      ensure
        ServerNative.homeward_rows_free(rows)
      end

      def sql_error
        SqlError.new(utf8(ServerNative.homeward_tx_error(@native)).scrub.strip,
                     ServerNative.homeward_tx_sqlstate(@native))
      end

      def utf8(text)
        text&.dup&.force_encoding(Encoding::UTF_8)
      end
    end
  end
end
