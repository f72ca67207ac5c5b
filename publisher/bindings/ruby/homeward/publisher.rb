# frozen_string_literal: true

module Homeward
  # One for the whole app. Symbols that emits return: :accepted, or why not (homeward.h says what
  # each means); an app may ignore :dropped, and should count or log :full and :invalid.
  #
  # No emit raises, whatever it is given, and none takes a Mutex: it may be called in a signal's
  # handler. A forked child goes on with the publisher that it has; the library gives it an identity
  # of its own at its first emit. At exit every publisher is closed, which takes `exit_wait` seconds
  # at the most.
  class Publisher
    EXIT_WAIT_S = 3
    TIMES_US = (-(2**63)...2**63).freeze
    WAITS_MS = (0...2**32).freeze

    @all = []
    class << self
      attr_reader :all

      # The library's threads must have ended before the interpreter takes itself apart.
      def close_all
        all.each(&:close_at_exit)
      end
    end

    # Of `options`, region: and app: are needed; the others are those of homeward_options.
    # durability: :process or :disk. on_log: a proc, told lines for an operator on a thread of its own.
    # exit_wait: seconds that the end of the process may wait for the stream's acknowledgements.
    def initialize(on_log: nil, exit_wait: EXIT_WAIT_S, **options)
      @exit_wait = exit_wait
      @log = LogReader.new(on_log) if on_log
      @scrubbed = 0
      @handle = open(options)
      Publisher.all << self
    end

    # wait: seconds that an audit event which finds no room waits for it, instead of :full at once.
    def audit(time: nil, wait: nil, **fields)
      emit("audit", fields, event_class: :audit, time: time, wait: wait)
    end

    def metric(time: nil, **fields)
      emit("metric", fields, event_class: :metric, time: time)
    end

    # An event of a type of your own; `fields` is a Hash of what JSON can hold. Text that is not
    # UTF-8 is scrubbed, and counted in stats[:scrubbed].
    def emit(type, fields, event_class: :audit, time: nil, wait: nil)
      json, is_scrubbed = EventText.generate(fields)
      return refuse(event_class) if json.nil?

      @scrubbed += 1 if is_scrubbed
      emit_json(type, json, event_class: event_class, time: time, wait: wait)
    end

    # time: a Time, or seconds since 1970; nil: now.
    def emit_json(type, json, event_class: :audit, time: nil, wait: nil)
      @log&.start
      time_us = microseconds(time)
      type = type.to_s
      is_event = !type.empty? && json.is_a?(String) && TIMES_US.cover?(time_us)
      wait_ms = wait.is_a?(Numeric) ? ms(wait) : -1
      return refuse(event_class) unless is_event && (!wait || WAITS_MS.cover?(wait_ms))

      event = [code_of(event_class), type, type.bytesize, json, json.bytesize, time_us]
      return Native.result(Native.homeward_emit_json(@handle, *event)) unless wait

      Native.result(Native.homeward_emit_json_wait(@handle, *event, wait_ms))
    rescue *EventText::RAISED
      refuse(event_class)
    end

    # The fields that an event of a type of your own must have: without one it is :incomplete. Before
    # the first such event; those of audit and metric are known.
    def define(type, required:)
      names = required.map { |name| FFI::MemoryPointer.from_string(name.to_s) }
      fields = FFI::MemoryPointer.new(Native::Field, names.size)
      names.each_with_index do |name, index|
        field = Native::Field.new(fields + index * Native::Field.size)
        field[:name] = name
        field[:kind] = Native::TEXT_KIND
      end
      names_list = FFI::MemoryPointer.new(:pointer, names.size).write_array_of_pointer(names)
      defined = Native.homeward_define_required(@handle, type.to_s, Native::CLASSES["audit"],
                                                fields, names.size, names_list, names.size)
      return unless defined.null?

      raise SetupError, "define(#{type.to_s.inspect}): the type and at most 64 required fields " \
                        "must be names of a-z, 0-9 and _ that begin with a letter"
    end

    # Holds what this thread emits in the block; yields a Scope that can drop or publish it. After
    # the block, also when it raised, what was not decided is published.
    def scope(bytes_max: 0)
      scope = Scope.new(@handle, bytes_max)
      yield scope
    ensure
      scope&.finish
    end

    # Counters, gauges and histograms that are added up in this process; see Meter for the options.
    # One for the whole app is enough.
    def meter(**options)
      Meter.new(@handle, **options)
    end

    # Whether all that was emitted so far is in the stream (or :logged, on disk) in time.
    def flush(seconds, til: :stream)
      Native.homeward_flush(@handle, ms(seconds), Native::UNTIL.fetch(til), nil) == 1
    end

    # The number of events that were not acknowledged in time; the next start sends them if there
    # is a spool_dir. Further emits are :closed.
    def close(seconds = 2)
      left = FFI::MemoryPointer.new(:uint64)
      Native.homeward_close(@handle, ms(seconds), left)
      left.read_uint64
    end

    def close_at_exit
      close(@exit_wait)
      @log&.drain
    rescue StandardError => e
      warn "homeward: #{e.class}: #{e.message}"
    end

    # scrubbed: events of this process whose text was not UTF-8; invalid: those of both classes that
    # were refused as such; the rest as in homeward.h, refusals by reason.
    def stats
      stats = Native::Stats.new
      stats[:size] = Native::Stats.size
      Native.homeward_get_stats(@handle, stats)
      audit_refusals = stats[:audit_refusals].to_h
      metric_refusals = stats[:metric_refusals].to_h
      { audit: stats[:audit].to_h, metric: stats[:metric].to_h, connected: stats[:connected] == 1,
        audit_refusals: audit_refusals, metric_refusals: metric_refusals,
        spools_recovering: stats[:spools_recovering], metric_dropped: stats[:metric_dropped],
        scrubbed: @scrubbed, invalid: audit_refusals[:invalid] + metric_refusals[:invalid] }
    end

    private

    # The library counts it, and says so.
    def refuse(event_class)
      invalid = Native::RESULTS.index(:invalid)
      Native.result(Native.homeward_refuse(@handle, code_of(event_class), invalid))
    end

    # 0 is no class: the library refuses such an event, and counts it as audit.
    def code_of(event_class)
      Native::CLASSES.fetch(event_class.to_s, 0)
    rescue *EventText::RAISED
      0
    end

    def microseconds(time)
      return 0 if time.nil?
      raise ArgumentError, "neither a time nor seconds" if time.is_a?(String)

      time = time.to_time unless time.respond_to?(:to_r) # DateTime
      (time.to_r * 1_000_000).to_i
    end

    def ms(seconds)
      (seconds.to_r * 1000).to_i
    end

    def open(options)
      native = Native::Options.new
      texts = Native.fill(native, options)
      native[:log_socket] = @log.fileno if @log
      handle = Native.or_raise { |why, bytes| Native.homeward_open(native, why, bytes) }
      texts.clear # lived until here: the library has its own copies now
      handle
    end
  end

  at_exit { Publisher.close_all }
end
