# frozen_string_literal: true

require "homeward/native"

module Homeward
  module Forward
    # homeward_forward.h, which is in libhomeward.
    module Native
      extend FFI::Library
      ffi_lib ENV.fetch("HOMEWARD_LIBRARY", "libhomeward.so.0")

      OUTCOMES = %i[ok failed abandoned refused busy expired unavailable no_responders not_found
                    in_doubt].freeze
      REPLICA_STATES = %i[not_asked covered behind away].freeze

      class ClientOptions < FFI::Struct
        layout :size, :size_t, :connection, :pointer, :deadline_ms, :uint32,
               :retry_after_ms, :uint32, :replica_wait_max_ms, :uint32,
               :replica_wait, :pointer, :replica_context, :pointer
      end

      class CallOptions < FFI::Struct
        layout :size, :size_t, :key, :pointer, :deadline_ms, :uint32, :skip_replica_wait, :int32
      end

      class Reply < FFI::Struct
        layout :size, :size_t, :outcome, :int, :was_stored, :int32, :key, :string,
               :body, :pointer, :body_bytes, :size_t, :code, :string, :session_token, :string,
               :replica, :int, :retry_after_ms, :uint32, :attempts, :uint32
      end

      # `blocking`: releases the interpreter's lock while it waits.
      attach_function :homeward_client_open, [ClientOptions.by_ref, :pointer, :size_t], :pointer,
                      blocking: true
      attach_function :homeward_client_call,
                      [:pointer, :pointer, :pointer, :size_t, CallOptions.by_ref], :pointer,
                      blocking: true
      attach_function :homeward_client_outcome, %i[pointer pointer uint32], :pointer, blocking: true
      attach_function :homeward_client_abandon, %i[pointer pointer uint32], :pointer, blocking: true
      attach_function :homeward_reply_free, [:pointer], :void
      attach_function :homeward_client_is_connected, [:pointer], :int, blocking: true
      attach_function :homeward_client_free, [:pointer], :void, blocking: true

      # A text that no other thread can change while the library reads it.
      def self.text(value)
        text = value.to_s
        raise ArgumentError, "the text contains a zero byte" if text.b.include?("\0")

        FFI::MemoryPointer.from_string(text)
      end

      # Any bytes; nil for none.
      def self.bytes(value)
        return nil if value.empty?

        FFI::MemoryPointer.new(:char, value.bytesize).put_bytes(0, value)
      end

      # 0 is the library's default, so that shorter times than 1 ms are 1 ms.
      def self.ms(seconds)
        seconds.nil? ? 0 : (seconds.to_r * 1000).ceil.clamp(1, (2**32) - 1)
      end
    end
  end
end
