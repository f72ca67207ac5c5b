# frozen_string_literal: true

require "homeward/forward/native"

module Homeward
  module Forward
    # homeward_forward_server.h. HOMEWARD_FORWARD_SERVER_LIBRARY: where the library is, unless the
    # system's loader finds it.
    module ServerNative
      extend FFI::Library
      ffi_lib ENV.fetch("HOMEWARD_FORWARD_SERVER_LIBRARY", "libhomeward-forward-server.so.0")

      NEXT = %i[none call closed].freeze

      class ServerOptions < FFI::Struct
        layout :size, :size_t, :connection, :pointer, :database_url, :pointer, :workers, :size_t,
               :queue_max, :size_t, :reply_bytes_max, :size_t, :deadline_max_ms, :uint32,
               :token_keys, :pointer
      end

      class Call < FFI::Struct
        layout :size, :size_t, :region, :string, :app, :string, :operation, :string,
               :key, :string, :body, :pointer, :body_bytes, :size_t, :deadline_us, :int64
      end

      class Stats < FFI::Struct
        layout :size, :size_t, :joined, :uint64, :queued, :uint64, :running, :uint64,
               :retried, :uint64, :in_doubt, :uint64, :answered, [:uint64, 16]
      end

      # `blocking`: releases the interpreter's lock while it waits.
      attach_function :homeward_forward_server_new, [ServerOptions.by_ref, :pointer, :size_t],
                      :pointer
      attach_function :homeward_forward_server_on, %i[pointer string pointer pointer], :int
      attach_function :homeward_forward_server_start, %i[pointer pointer size_t], :int,
                      blocking: true
      attach_function :homeward_forward_server_next, %i[pointer uint32 pointer], :int,
                      blocking: true
      attach_function :homeward_forward_server_close, %i[pointer uint32], :int, blocking: true
      attach_function :homeward_forward_server_free, [:pointer], :void, blocking: true
      attach_function :homeward_forward_server_get_stats, [:pointer, Stats.by_ref], :int
      attach_function :homeward_tx_call, [:pointer], Call.by_ref
      attach_function :homeward_tx_query, %i[pointer pointer pointer size_t], :pointer,
                      blocking: true
      attach_function :homeward_tx_sqlstate, [:pointer], :string
      attach_function :homeward_tx_error, [:pointer], :string
      attach_function :homeward_tx_reply, %i[pointer pointer size_t], :void
      attach_function :homeward_tx_fail, %i[pointer string string], :void
      attach_function :homeward_rows_count, [:pointer], :size_t
      attach_function :homeward_rows_columns, [:pointer], :size_t
      attach_function :homeward_rows_affected, [:pointer], :size_t
      attach_function :homeward_rows_name, %i[pointer size_t], :string
      attach_function :homeward_rows_value, %i[pointer size_t size_t], :string
      attach_function :homeward_rows_free, [:pointer], :void
    end
  end
end
