# frozen_string_literal: true

require "homeward/native"

module Homeward
  module Replay
    # homeward_replay.h: decide(), DATABASE_URL and tokens are the C++ helper's own.
    module Native
      extend FFI::Library
      ffi_lib ENV.fetch("HOMEWARD_LIBRARY", "libhomeward.so.0")

      CAUSES = %i[none read_only unsupported unknown_name conflict connection outcome_unknown
                  other].freeze
      ROLES = %i[unknown primary standby read_only_primary].freeze
      COVERAGES = %i[not_asked covered behind different_timeline position_unknown primary_only].freeze
      VERDICTS = %i[proceed replay refuse].freeze
      SITUATION_FLAGS = { has_handler_run: 1, was_replayed: 2, has_replay_failed: 4,
                          is_websocket: 8, is_length_unknown: 16 }.freeze
      POLICY_FLAGS = { writes_by_method: 1, unsupported_on_standby: 2, schema_lag: 4,
                       recovery_conflict: 8, replica_down: 16, large_writes_here: 32,
                       websockets_here: 64 }.freeze
      POLICY_DEFAULTS = { writes_by_method: false, unsupported_on_standby: true, schema_lag: false,
                          recovery_conflict: true, replica_down: true, large_writes_here: false,
                          websockets_here: false, retry_after_s: 5 }.freeze
      ENGINES = %i[postgresql mysql mariadb mongodb redis].freeze
      ENGINE_COLUMNS = 5
      TOKEN_BYTES = 257
      URL_BYTES = 8192
      WHY_BYTES = 256

      class Situation < FFI::Struct
        layout :size, :size_t, :method, :pointer, :flags, :uint32, :cause, :int,
               :server_role, :int, :coverage, :int, :body_bytes, :uint64
      end

      class Policy < FFI::Struct
        layout :size, :size_t, :flags, :uint32, :retry_after_s, :uint32
      end

      class Decision < FFI::Struct
        layout :size, :size_t, :verdict, :int, :status, :int, :retry_after_s, :uint32,
               :reason, :string, :text, :string
      end

      attach_function :homeward_cause_of_sqlstate, [:string], :int
      attach_function :homeward_decide,
                      [:string, :string, Situation.by_ref, Policy.by_ref, Decision.by_ref], :int
      attach_function :homeward_replay_to, %i[string pointer size_t], :int
      attach_function :homeward_database_url, %i[pointer size_t pointer pointer size_t], :int
      attach_function :homeward_tokens_new, %i[string pointer size_t], :pointer
      attach_function :homeward_engine_committed_query, [:int], :string
      attach_function :homeward_engine_replica_query, [:int], :string
      attach_function :homeward_engine_token_sign, %i[pointer int pointer pointer size_t], :int
      attach_function :homeward_engine_token_coverage, %i[pointer int string pointer], :int
      attach_function :homeward_engine_role, %i[int pointer], :int
    end
  end
end
