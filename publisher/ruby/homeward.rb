# frozen_string_literal: true

# Homeward's publisher for Ruby, on libhomeward by FFI (gem or Debian package ruby-ffi).
#
#   HOMEWARD = Homeward::Publisher.new(region: ENV["FLY_REGION"], app: "shop",
#                                      nats_urls: ENV["NATS_URL"], spool_dir: "/var/lib/shop")
#   HOMEWARD.audit(actor: "user:42", action: "order.view", resource: "order:1", outcome: "allowed")
#   HOMEWARD.metric(name: "request_duration_seconds", kind: "histogram", value: 0.012)
#
# Any thread may emit; it never waits, neither for the network nor for the database. Rails behind
# fly-replay: `config.middleware.use Homeward::ReplayScope, HOMEWARD`.
#
# Puma in cluster mode, Unicorn and whatever else forks: nothing to do. A forked child that emits
# gets a publisher of its own, with the same options; what its parent had emitted stays the
# parent's. on_log is only called in the process that made the publisher.

require "ffi"
require "json"

module Homeward
  class SetupError < StandardError; end

  # homeward.h, as it stands there.
  module Native
    extend FFI::Library
    ffi_lib ENV.fetch("HOMEWARD_LIBRARY", "libhomeward.so.0")

    ABI_VERSION = 1
    CLASSES = { audit: 1, metric: 2 }.freeze
    RESULTS = %i[accepted held dropped full scope_full too_large closed invalid].freeze
    DURABILITIES = { process: 0, disk: 1 }.freeze
    UNTIL = { logged: 0, stream: 1 }.freeze

    callback :log, %i[pointer pointer size_t], :void

    class Options < FFI::Struct
      layout :size, :size_t, :region, :pointer, :app, :pointer, :nats_urls, :pointer,
             :spool_dir, :pointer, :lane_dir, :pointer, :durability, :int, :linger_ms, :uint32,
             :frame_bytes, :size_t, :lane_bytes, :size_t, :lanes_max, :size_t,
             :log_bytes_max, :size_t, :in_flight_max, :size_t, :in_flight_bytes_max, :size_t,
             :credentials_file, :pointer, :nkey_seed_file, :pointer, :tls_ca_file, :pointer,
             :tls_cert_file, :pointer, :tls_key_file, :pointer,
             :on_log, :log, :log_context, :pointer
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

    class Stats < FFI::Struct
      layout :size, :size_t, :audit, ClassStats, :metric, ClassStats,
             :spools_recovering, :uint64, :connected, :int
    end

    # `blocking`: gives the interpreter's lock away, which on_log needs to run.
    attach_function :homeward_abi_version, [], :uint32
    attach_function :homeward_open, [Options.by_ref, :pointer, :size_t], :pointer, blocking: true
    attach_function :homeward_emit_json,
                    %i[pointer int buffer_in size_t buffer_in size_t int64], :int
    attach_function :homeward_emit_json_wait,
                    %i[pointer int buffer_in size_t buffer_in size_t int64 uint32], :int,
                    blocking: true
    attach_function :homeward_flush, %i[pointer uint32 int pointer], :int, blocking: true
    attach_function :homeward_close, %i[pointer uint32 pointer], :int, blocking: true
    attach_function :homeward_free, [:pointer], :void, blocking: true
    attach_function :homeward_get_stats, [:pointer, Stats.by_ref], :int
    attach_function :homeward_scope_begin, %i[pointer size_t], :pointer
    attach_function :homeward_scope_enter, [:pointer], :int
    attach_function :homeward_scope_leave, [:pointer], :void
    attach_function :homeward_scope_publish, [:pointer], :int
    attach_function :homeward_scope_drop, [:pointer], :void
    attach_function :homeward_scope_held, [:pointer], :size_t
    attach_function :homeward_scope_end, [:pointer], :void

    if homeward_abi_version < ABI_VERSION
      raise LoadError, "libhomeward has ABI #{homeward_abi_version}, homeward.rb needs #{ABI_VERSION}"
    end
  end

  # One for the whole app. Symbols that emits return: :accepted, or why not (homeward.h says what
  # each means); an app may ignore :dropped, and should count or log :full.
  class Publisher
    # Of `options`, region: and app: are needed; the others are those of homeward_options.
    # durability: :process or :disk. on_log: a proc, told lines for a person.
    def initialize(**options)
      @options = options
      @mutex = Mutex.new
      open
    end

    # wait: seconds that an audit event which finds no room waits for it, instead of :full at once.
    def audit(time: nil, wait: nil, **fields)
      emit("audit", fields, event_class: :audit, time: time, wait: wait)
    end

    def metric(time: nil, **fields)
      emit("metric", fields, event_class: :metric, time: time)
    end

    # An event of a type of your own; `fields` is whatever becomes a JSON object.
    def emit(type, fields, event_class: :audit, time: nil, wait: nil)
      emit_json(type, JSON.generate(fields), event_class: event_class, time: time, wait: wait)
    end

    def emit_json(type, json, event_class: :audit, time: nil, wait: nil)
      time_us = time ? (time.to_r * 1_000_000).to_i : 0
      event = [Native::CLASSES.fetch(event_class), type, type.bytesize, json, json.bytesize, time_us]
      Native::RESULTS.fetch(
        if wait
          Native.homeward_emit_json_wait(handle, *event, (wait * 1000).to_i)
        else
          Native.homeward_emit_json(handle, *event)
        end
      )
    end

    # Holds what this thread emits in the block; yields a Scope that can drop or publish it. After
    # the block, also when it raised, what was not decided is published.
    def scope(bytes_max: 0)
      scope = Scope.new(handle, bytes_max)
      yield scope
    ensure
      scope&.finish
    end

    # Whether all that was emitted so far is in the stream (or :logged, on disk) in time.
    def flush(seconds, til: :stream)
      Native.homeward_flush(handle, (seconds * 1000).to_i, Native::UNTIL.fetch(til), nil) == 1
    end

    # The number of events that were not acknowledged in time; the next start sends them if there
    # is a spool_dir. Further emits are :closed.
    def close(seconds = 2)
      left = FFI::MemoryPointer.new(:uint64)
      Native.homeward_close(handle, (seconds * 1000).to_i, left)
      left.read_uint64
    end

    def stats
      stats = Native::Stats.new
      stats[:size] = Native::Stats.size
      Native.homeward_get_stats(handle, stats)
      { audit: stats[:audit].to_h, metric: stats[:metric].to_h, connected: stats[:connected] == 1,
        spools_recovering: stats[:spools_recovering] }
    end

    private

    # The parent's handle is left alone in a child: its threads do not exist there.
    def handle
      return @handle if @pid == Process.pid

      @mutex.synchronize { open unless @pid == Process.pid }
      @handle
    end

    def open
      native = native_options(with_log: @pid.nil?)
      why = FFI::MemoryPointer.new(:char, 256)
      handle = Native.homeward_open(native, why, why.size)
      raise SetupError, why.read_string if handle.null?

      @handle = handle
      @pid = Process.pid
    end

    def native_options(with_log:)
      native = Native::Options.new
      native[:size] = Native::Options.size
      @kept = @options.except(:on_log).map { |name, value| set(native, name, value) }
      keep_log(native) if with_log && @options[:on_log]
      native
    end

    # Returns what must live as long as the native side may read it.
    def set(native, name, value)
      case value
      when nil then return
      when Symbol then value = Native::DURABILITIES.fetch(value)
      when Array then value = value.join(",")
      end
      value = FFI::MemoryPointer.from_string(value.to_s) unless value.is_a?(Integer)
      native[name] = value
    end

    def keep_log(native)
      on_log = @options[:on_log]
      @log = proc { |_context, line, bytes| on_log.call(line.read_string(bytes)) }
      native[:on_log] = @log
    end
  end

  # What Publisher#scope yields.
  class Scope
    def initialize(publisher, bytes_max)
      @native = Native.homeward_scope_begin(publisher, bytes_max)
      raise NoMemoryError, "no memory for a scope" if @native.null?
    end

    def publish
      Native::RESULTS.fetch(Native.homeward_scope_publish(@native))
    end

    def drop
      Native.homeward_scope_drop(@native)
    end

    # Events held now.
    def held
      Native.homeward_scope_held(@native)
    end

    # For a request that another thread goes on with: leave here, enter there.
    def enter
      Native.homeward_scope_enter(@native)
    end

    def leave
      Native.homeward_scope_leave(@native)
    end

    def finish
      Native.homeward_scope_end(@native)
      @native = nil
    end
  end

  # Rack middleware: what a request emits is dropped if the answer has it replayed in the primary
  # region, which emits it again.
  class ReplayScope
    def initialize(app, publisher)
      @app = app
      @publisher = publisher
    end

    def call(env)
      @publisher.scope do |scope|
        response = @app.call(env)
        scope.drop if response[1].any? { |name, _value| name.casecmp?("fly-replay") }
        response
      end
    end
  end
end
