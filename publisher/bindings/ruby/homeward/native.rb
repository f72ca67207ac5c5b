# frozen_string_literal: true

require "ffi"

module Homeward
  class SetupError < StandardError; end

  # homeward.h. HOMEWARD_LIBRARY: where the library is, unless the system's loader finds it.
  module Native
    extend FFI::Library
    ffi_lib ENV.fetch("HOMEWARD_LIBRARY", "libhomeward.so.0")

    ABI_VERSION = 1
    WHY_BYTES = 256
    CLASSES = { "audit" => 1, "metric" => 2 }.freeze
    TEXT_KIND = 5
    RESULTS = %i[accepted held dropped full scope_full too_large closed invalid incomplete
                 unavailable].freeze
    DURABILITIES = { process: 0, disk: 1 }.freeze
    UNTIL = { logged: 0, stream: 1 }.freeze

    # What a newer library may answer and this file does not know is a refusal.
    def self.result(code)
      RESULTS.fetch(code, :invalid)
    end

    # Sets fields by name, and the size. Returns what must live for as long as the library reads them.
    def self.fill(struct, values)
      struct[:size] = struct.size
      values.filter_map do |name, value|
        case value
        when nil then next
        when Symbol then value = DURABILITIES.fetch(value)
        when Array then value = value.join(",")
        end
        is_native = value.is_a?(Integer) || value.is_a?(FFI::Pointer)
        struct[name] = is_native ? value : (value = FFI::MemoryPointer.from_string(value.to_s))
        value
      end
    end

    # Yields a buffer for the library's reason and its size; raises that if the result is 0 or NULL.
    def self.or_raise
      why = FFI::MemoryPointer.new(:char, WHY_BYTES)
      result = yield why, why.size
      is_done = result.is_a?(FFI::Pointer) ? !result.null? : result != 0
      raise SetupError, why.read_string.force_encoding(Encoding::UTF_8) unless is_done

      result
    end

    class Options < FFI::Struct
      layout :size, :size_t, :region, :pointer, :app, :pointer, :nats_urls, :pointer,
             :spool_dir, :pointer, :lane_dir, :pointer, :durability, :int, :linger_ms, :uint32,
             :frame_bytes, :size_t, :lane_bytes, :size_t, :lanes_max, :size_t,
             :log_bytes_max, :size_t, :in_flight_max, :size_t, :in_flight_bytes_max, :size_t,
             :credentials_file, :pointer, :nkey_seed_file, :pointer, :tls_ca_file, :pointer,
             :tls_cert_file, :pointer, :tls_key_file, :pointer,
             :on_log, :pointer, :log_context, :pointer, :log_socket, :int,
             :spool_bytes_max, :size_t, :frame_version, :uint32,
             :resend_age_ms, :int32, :resend_bytes_max, :size_t, :inbox_prefix, :pointer
    end

    class ClassStats < FFI::Struct
      layout :accepted, :uint64, :in_lanes, :uint64, :in_log, :uint64, :acked, :uint64,
             :tombstoned, :uint64, :refused, :uint64, :retries, :uint64,
             :wire_bytes, :uint64, :json_bytes, :uint64, :log_bytes, :uint64,
             :log_bytes_max, :uint64

      def to_h
        members.to_h { |name| [name, self[name]] }
      end
    end

    class Refusals < FFI::Struct
      layout :lane_full, :uint64, :scope_full, :uint64, :too_large, :uint64,
             :type_unwritable, :uint64, :invalid, :uint64, :incomplete, :uint64,
             :unavailable, :uint64, :closed, :uint64

      def to_h
        members.to_h { |name| [name, self[name]] }
      end
    end

    class Stats < FFI::Struct
      layout :size, :size_t, :audit, ClassStats, :metric, ClassStats,
             :spools_recovering, :uint64, :connected, :int,
             :audit_refusals, Refusals, :metric_refusals, Refusals,
             :metric_dropped, :uint64, :audit_scrubbed, :uint64, :metric_scrubbed, :uint64
    end

    class Field < FFI::Struct
      layout :name, :pointer, :kind, :int
    end

    class MeterOptions < FFI::Struct
      layout :size, :size_t, :interval_ms, :uint32, :series_max, :size_t
    end

    class Attribute < FFI::Struct
      layout :key, :pointer, :value, :pointer
    end

    class Series < FFI::Struct
      layout :size, :size_t, :name, :pointer, :unit, :pointer, :attributes, :pointer,
             :attribute_count, :size_t
    end

    class MeterStats < FFI::Struct
      layout :size, :size_t, :series, :uint64, :folded_series, :uint64, :negative, :uint64,
             :not_finite, :uint64, :closed, :uint64
    end

    # `blocking`: releases the interpreter's lock while it waits.
    attach_function :homeward_abi_version, [], :uint32
    attach_function :homeward_open, [Options.by_ref, :pointer, :size_t], :pointer, blocking: true
    attach_function :homeward_emit_json,
                    %i[pointer int buffer_in size_t buffer_in size_t int64], :int
    attach_function :homeward_emit_json_wait,
                    %i[pointer int buffer_in size_t buffer_in size_t int64 uint32], :int,
                    blocking: true
    attach_function :homeward_refuse, %i[pointer int int], :int
    attach_function :homeward_define_required,
                    %i[pointer string int pointer size_t pointer size_t], :pointer
    attach_function :homeward_flush, %i[pointer uint32 int pointer], :int, blocking: true
    attach_function :homeward_close, %i[pointer uint32 pointer], :int, blocking: true
    attach_function :homeward_get_stats, [:pointer, Stats.by_ref], :int
    attach_function :homeward_scope_begin, %i[pointer size_t], :pointer
    attach_function :homeward_scope_enter, [:pointer], :int
    attach_function :homeward_scope_leave, [:pointer], :void
    attach_function :homeward_scope_publish, [:pointer], :int
    attach_function :homeward_scope_drop, [:pointer], :void
    attach_function :homeward_scope_held, [:pointer], :size_t
    attach_function :homeward_scope_end, [:pointer], :void
    attach_function :homeward_meter_new, [:pointer, MeterOptions.by_ref, :pointer, :size_t],
                    :pointer
    attach_function :homeward_meter_get_stats, [:pointer, MeterStats.by_ref], :int
    attach_function :homeward_instrument_new,
                    [:pointer, :int, Series.by_ref, :pointer, :size_t], :pointer
    attach_function :homeward_instrument_free, [:pointer], :void
    attach_function :homeward_instrument_add, %i[pointer int64], :int
    attach_function :homeward_instrument_record, %i[pointer double], :int

    if homeward_abi_version < ABI_VERSION
      raise LoadError, "libhomeward has ABI #{homeward_abi_version}; homeward.rb needs " \
                       "#{ABI_VERSION} or newer: install the library of the same release"
    end
  end
end
