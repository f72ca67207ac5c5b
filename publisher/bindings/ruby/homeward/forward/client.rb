# frozen_string_literal: true

require "securerandom"

require "homeward/log_reader"

module Homeward
  module Forward
    # Calls operations of the same app in the primary region. Any thread; while a call waits, other
    # threads of Ruby run. A call ends by its deadline, and not before: Thread#kill, Timeout and
    # signals' handlers wait for it. A forked child opens a connection of its own at its first call.
    class Client
      @all = []
      class << self
        attr_reader :all

        def close_all
          all.each(&:close_at_exit)
        end
      end

      # region:, app:, nats_urls: and the login are those of homeward_options. deadline: of a call
      # that names none, 2; retry_after: after which silence a call is sent again, 0.5; both in
      # seconds. session: a Replay::Session of the local replica, which a call waits for after its
      # commit. on_log: a proc.
      def initialize(deadline: nil, retry_after: nil, session: nil, on_log: nil, **connection)
        @times = { deadline_ms: Native.ms(deadline), retry_after_ms: Native.ms(retry_after) }
        @session = session
        @log = LogReader.new(on_log) if on_log
        @connection = connection
        @mutex = Mutex.new
        @idle = ConditionVariable.new
        @mutex.synchronize { open_here }
        Client.all << self
      end

      # Runs an operation once, however often it is sent. key: the same for every retry of one call,
      # in any process; a random one if there is none. deadline: seconds. Returns a Reply.
      def call(operation, body = "", key: nil, deadline: nil, wait_for_replica: true)
        body = body.to_s.b
        options = Native::CallOptions.new
        texts = Homeward::Native.fill(options, key: Native.text(key || SecureRandom.hex(16)),
                                               deadline_ms: Native.ms(deadline))
        texts << (name = Native.text(operation)) << (bytes = Native.bytes(body))
        reply = ask { |handle| Native.homeward_client_call(handle, name, bytes, body.bytesize, options) }
        texts.clear # lived until here
        reply.replica = replica_state(reply.session_token) if wait_for_replica && reply.session_token
        reply
      end

      # How a call ended, after :in_doubt or in another process.
      def outcome(key, deadline: nil)
        text = Native.text(key)
        ask { |handle| Native.homeward_client_outcome(handle, text, Native.ms(deadline)) }
      end

      # Makes sure that a call which has not committed never does.
      def abandon(key, deadline: nil)
        text = Native.text(key)
        ask { |handle| Native.homeward_client_abandon(handle, text, Native.ms(deadline)) }
      end

      def connected?
        with_handle { |handle| Native.homeward_client_is_connected(handle) == 1 }
      end

      # Waits for the calls that are under way. No further ones may be made.
      def close
        @mutex.synchronize do
          @is_closed = true
          @idle.wait(@mutex) while @calls.positive? && @pid == Process.pid
          free
        end
      end

      # A thread that still calls keeps its handle: it ends with the process.
      def close_at_exit
        @mutex.synchronize { free if @calls.zero? }
        @log&.drain
      rescue StandardError => e
        warn "homeward: #{e.class}: #{e.message}"
      end

      private

      def ask
        Reply.take(with_handle { |handle| yield handle })
      end

      def with_handle
        handle = @mutex.synchronize do
          raise SetupError, "the client is closed" if @is_closed

          open_here unless @pid == Process.pid
          @calls += 1
          @handle
        end
        @log&.start
        begin
          yield handle
        ensure
          @mutex.synchronize do
            @calls -= 1
            @idle.broadcast
          end
        end
      end

      # The parent's handle stays the parent's.
      def open_here
        native = Homeward::Native::Options.new
        texts = Homeward::Native.fill(native, @connection)
        native[:log_socket] = @log.fileno if @log
        options = Native::ClientOptions.new
        Homeward::Native.fill(options, connection: native.to_ptr, **@times)
        @handle = Homeward::Native.or_raise do |why, bytes|
          Native.homeward_client_open(options, why, bytes)
        end
        texts.clear # lived until here
        @pid = Process.pid
        @calls = 0
      end

      def free
        Native.homeward_client_free(@handle) if @handle && @pid == Process.pid
        @handle = nil
        @is_closed = true
      end

      def replica_state(token)
        return :not_asked if @session.nil?

        coverage, = @session.look([token])
        tell_not_asked if coverage == :not_asked
        %i[covered behind].include?(coverage) ? coverage : :away
      end

      # Once for each client.
      def tell_not_asked
        return if @has_told

        @has_told = true
        line = "calls do not wait for the replica: their session tokens are of other keys or of " \
               "another engine than this region's; the calls have committed"
        @log ? @log.tell(+line) : warn("homeward: #{line}")
      end
    end

    at_exit { Client.close_all }
  end
end
