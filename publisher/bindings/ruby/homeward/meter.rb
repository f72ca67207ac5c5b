# frozen_string_literal: true

module Homeward
  # Metrics that are added up in this process: every `interval` seconds each changed series becomes
  # one row of metric_points. Resolve a series once and keep the instrument.
  #
  #   METER = HOMEWARD.meter
  #   REQUESTS = METER.counter("http.server.requests", { route: "/orders" }, unit: "{request}")
  #   REQUESTS.add(1)
  #
  # Instruments work in forked workers, where they start at zero. Any thread may use them, and a
  # signal's handler; no add or record raises. It must be made by Publisher#meter, and lives as long
  # as the process.
  class Meter
    KINDS = { counter: 1, up_down_counter: 2, gauge: 3, histogram: 4 }.freeze

    # interval: seconds. series_max: further series of a name are folded into one, further names
    # measure nothing.
    def initialize(publisher, interval: 10, series_max: 2000)
      options = Native::MeterOptions.new
      options[:size] = Native::MeterOptions.size
      options[:interval_ms] = (interval.to_r * 1000).to_i
      options[:series_max] = series_max
      @native = checked { |why| Native.homeward_meter_new(publisher, options, why, why.size) }
    end

    # attributes: a Hash; keys and values are told by to_s. Raises SetupError, which says what to
    # write instead, if a name, unit or attribute is not allowed, or the name has another kind.
    def counter(name, attributes = {}, unit: nil)
      Counter.new(instrument(:counter, name, attributes, unit))
    end

    # Its add() may be given less than zero.
    def up_down_counter(name, attributes = {}, unit: nil)
      Counter.new(instrument(:up_down_counter, name, attributes, unit))
    end

    def gauge(name, attributes = {}, unit: nil)
      Gauge.new(instrument(:gauge, name, attributes, unit))
    end

    def histogram(name, attributes = {}, unit: nil)
      Histogram.new(instrument(:histogram, name, attributes, unit))
    end

    # Of this process, as in homeward_metrics.h: series, folded_series, negative, not_finite, closed.
    def stats
      stats = Native::MeterStats.new
      stats[:size] = Native::MeterStats.size
      Native.homeward_meter_get_stats(@native, stats)
      (stats.members - [:size]).to_h { |name| [name, stats[name]] }
    end

    private

    def checked
      why = FFI::MemoryPointer.new(:char, 512)
      handle = yield why
      raise SetupError, why.read_string.force_encoding(Encoding::UTF_8).scrub if handle.null?

      handle
    end

    def instrument(kind, name, attributes, unit)
      series = Native::Series.new
      series[:size] = Native::Series.size
      texts = [series[:name] = text(name), series[:unit] = unit && text(unit)]
      texts << (series[:attributes] = list(attributes, texts)) unless attributes.empty?
      series[:attribute_count] = attributes.size
      handle = checked do |why|
        Native.homeward_instrument_new(@native, KINDS.fetch(kind), series, why, why.size)
      end
      texts.clear # lived until here: the library has its own copies now
      FFI::AutoPointer.new(handle, Native.method(:homeward_instrument_free))
    end

    def list(attributes, texts)
      list = FFI::MemoryPointer.new(Native::Attribute, attributes.size)
      attributes.each_with_index do |(key, value), index|
        one = Native::Attribute.new(list + index * Native::Attribute.size)
        texts << (one[:key] = text(key)) << (one[:value] = text(value))
      end
      list
    end

    def text(value)
      value = value.to_s
      raise SetupError, "metrics: #{value.inspect} has a zero byte" if value.b.include?("\0")

      FFI::MemoryPointer.from_string(value)
    end
  end

  # What Meter#counter and #up_down_counter return.
  class Counter
    def initialize(native)
      @native = native
    end

    # Whether it was taken: only whole numbers are. A counter's value below zero is refused by the
    # library and counted in Meter#stats.
    def add(value = 1)
      value.is_a?(Integer) && Native.homeward_instrument_add(@native, value) == 1
    rescue StandardError # beyond 64 bits
      false
    end
  end

  # What Meter#gauge returns.
  class Gauge
    def initialize(native)
      @native = native
    end

    # Whether it was taken: only numbers are. NaN and infinities are refused by the library and
    # counted in Meter#stats.
    def record(value)
      value.is_a?(Numeric) && Native.homeward_instrument_record(@native, value.to_f) == 1
    rescue StandardError # a complex number
      false
    end
  end

  # What Meter#histogram returns.
  class Histogram < Gauge
    # Records how many seconds the block takes, also when it raises. Returns what it returns.
    def time
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      yield
    ensure
      record(Process.clock_gettime(Process::CLOCK_MONOTONIC) - started) if started
    end
  end
end
