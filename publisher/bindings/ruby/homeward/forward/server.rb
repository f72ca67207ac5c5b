# frozen_string_literal: true

require "homeward/log_reader"
require "homeward/forward/transaction"

module Homeward
  module Forward
    # Serves operations of one app, beside the leader. Handlers run on threads of Ruby's, as many as
    # `workers`; each call has the connection of one of the library's workers.
    #
    #   server = Homeward::Forward::Server.new(region: "scl", app: "shop", nats_urls: url,
    #                                          database_url: leader)
    #   server.on("order.place") do |tx, call|
    #     tx.exec("INSERT INTO orders (key, item) VALUES ($1, $2)", [call.key, call.body])
    #     "placed"                           # the reply; the server commits
    #   end
    #   server.start
    #
    # A server that was started does not survive fork(): start it in the child.
    class Server
      WORKERS = 4
      EXIT_WAIT_S = 10
      WAIT_MS = 1000 # Thread#kill waits that long

      @all = []
      class << self
        attr_reader :all

        def close_all
          all.dup.each(&:close_at_exit)
        end
      end

      # region:, app:, nats_urls: and the login are those of homeward_options. queue_max:,
      # reply_bytes_max: and token_keys: are those of homeward_forward_server_options;
      # deadline_max: in seconds. on_log: a proc. on_error: a proc, called with what a handler
      # raised (but for CallFailed) and the call.
      def initialize(database_url:, workers: WORKERS, deadline_max: nil, queue_max: nil,
                     reply_bytes_max: nil, token_keys: nil, on_log: nil, on_error: nil,
                     **connection)
        @log = LogReader.new(on_log) if on_log
        @on_error = on_error
        @workers = workers
        @handlers = {}
        @threads = []
        @handle = open(connection, database_url: database_url, workers: workers,
                                   queue_max: queue_max, reply_bytes_max: reply_bytes_max,
                                   deadline_max_ms: Native.ms(deadline_max), token_keys: token_keys)
      end

      # Adds an operation. The block gets a Transaction and a Call, on several threads at once, and
      # returns the reply's body. What it raises rolls back, and the call has failed; CallFailed
      # names the code. It may run several times for one key, and commits once. Raises SetupError
      # after start; start raises it for a name that is not valid or is there already.
      def on(operation, &handler)
        raise ArgumentError, "no block" if handler.nil?
        raise SetupError, "the operation \"#{operation}\" was added after the start" if @pid

        @handlers[operation.to_s] = handler
        ServerNative.homeward_forward_server_on(@handle, operation.to_s, nil, nil)
        self
      end

      # Raises SetupError for options or operations that can never work.
      def start
        Homeward::Native.or_raise do |why, bytes|
          ServerNative.homeward_forward_server_start(@handle, why, bytes)
        end
        @pid = Process.pid
        @threads = Array.new(@workers) { Thread.new { work } }
        @threads.each { |thread| thread.name = "homeward-forward" }
        Server.all << self
        self
      end

      # Takes no further calls and finishes those that it has. Whether all of them were answered.
      def close(seconds = EXIT_WAIT_S)
        return false unless @pid == Process.pid # a forked child's has no threads

        is_whole = ServerNative.homeward_forward_server_close(@handle, Native.ms(seconds)) == 1
        @threads.each(&:join)
        Server.all.delete(self)
        is_whole
      end

      def close_at_exit
        close
        @log&.drain
      rescue StandardError => e
        warn "homeward: #{e.class}: #{e.message}"
      end

      # Answers by outcome, and what else homeward_forward_server_stats has.
      def stats
        stats = ServerNative::Stats.new
        stats[:size] = ServerNative::Stats.size
        ServerNative.homeward_forward_server_get_stats(@handle, stats)
        answered = Native::OUTCOMES.each_with_index.to_h { |name, i| [name, stats[:answered][i]] }
        { answered: answered, joined: stats[:joined], queued: stats[:queued],
          running: stats[:running], retried: stats[:retried], in_doubt: stats[:in_doubt] }
      end

      private

      def open(connection, options)
        native = Homeward::Native::Options.new
        texts = Homeward::Native.fill(native, connection)
        native[:log_socket] = @log.fileno if @log
        server = ServerNative::ServerOptions.new
        texts += Homeward::Native.fill(server, connection: native.to_ptr, **options)
        handle = Homeward::Native.or_raise do |why, bytes|
          ServerNative.homeward_forward_server_new(server, why, bytes)
        end
        texts.clear # lived until here
        handle
      end

      # Thread#kill and Thread#raise from outside wait for the end of a round: a call that was taken
      # and not ended would keep its worker for ever.
      def work
        native = FFI::MemoryPointer.new(:pointer)
        loop do
          @log&.start
          return if Thread.handle_interrupt(Object => :never) { serve(native) } == :closed
        end
      end

      def serve(native)
        code = ServerNative.homeward_forward_server_next(@handle, WAIT_MS, native)
        found = ServerNative::NEXT[code]
        run(Transaction.new(native.read_pointer)) if found == :call
        found
      end

      # Whatever the handler does, the call ends.
      def run(transaction)
        call = transaction.call
        handler = @handlers.fetch(call.operation)
        # Timeout works by interrupts. One that came before the call is not the handler's.
        timing = Thread.pending_interrupt? ? :never : :immediate
        reply = Thread.handle_interrupt(Object => timing) { handler.call(transaction, call) }
        transaction.reply(reply.to_s)
      rescue CallFailed => e
        transaction.refuse(e.code, e.message)
      rescue StandardError, ScriptError, NoMemoryError, SystemStackError => e
        transaction.refuse_for(e)
        tell(e, call)
      ensure
        transaction.refuse("exception", "the handler has left its thread")
      end

      def tell(error, call)
        @on_error&.call(error, call)
      rescue StandardError => e
        warn "homeward: on_error raised #{e.class}: #{e.message}"
      end
    end

    at_exit { Server.close_all }
  end
end
