# frozen_string_literal: true

require "homeward/replay/native"

module Homeward
  module Replay
    # A session reads what it has written: a signed token of the leader's position, held against the
    # replica's. Both are asked over one connection of this object's own to `url`; needs pg. Other
    # engines are asked by a proc of the app's.
    class Session
      COOKIE = "__Host-homeward_seen"
      HEADER = "homeward-seen"
      MAX_AGE_S = 86_400
      COOKIES_MAX = 4
      ASK_TIMEOUT_S = 1
      POLL_S = 0.01

      # keys: HOMEWARD_REPLAY_KEYS. Raises SetupError when they are no good. engine: :mysql,
      # :mariadb, :redis or :mongodb need ask:, a proc. It gets a query, and returns its one row as
      # an array of texts, or nil if the server does not answer: for :redis the text of INFO, for
      # :mongodb, without a query, seconds and increment of a timestamp (homeward_replay.h).
      def initialize(url, keys, wait_max_ms: 100, engine: :postgresql, ask: nil)
        @engine = Native::ENGINES.index(engine) or raise SetupError, "unknown engine #{engine}"
        raise SetupError, "ask: is needed for #{engine}" if ask.nil? && engine != :postgresql

        require "pg" if ask.nil?
        @ask = ask
        why = FFI::MemoryPointer.new(:char, Native::WHY_BYTES)
        @tokens = Native.homeward_tokens_new(keys, why, why.size)
        raise SetupError, "HOMEWARD_REPLAY_KEYS: #{why.read_string}" if @tokens.null?

        @url = url
        @wait_max_s = wait_max_ms / 1000.0
        @mutex = Mutex.new
      end

      # Tokens that a request brings, by cookie and by header, for clients without cookies.
      def self.tokens_of(env)
        found = env.fetch("HTTP_COOKIE", "").split(";").map(&:strip)
                   .select { |pair| pair.start_with?("#{COOKIE}=") }
                   .map { |pair| pair[(COOKIE.size + 1)..] }.first(COOKIES_MAX)
        header = env["HTTP_HOMEWARD_SEEN"]
        header.nil? || header.empty? ? found : found << header
      end

      # [coverage, role of the server]: :covered when the replica has what each of the tokens has
      # seen, after a wait if need be.
      def look(tokens)
        return %i[not_asked unknown] if tokens.none? { |token| cover(token, nil) != :not_asked }

        until_s = now_s + @wait_max_s
        loop do
          row = ask(Native.homeward_engine_replica_query(@engine))
          worst = tokens.map { |token| cover(token, row) }
                        .max_by { |one| Native::COVERAGES.index(one) }
          return [worst, role(row)] unless worst == :behind && now_s < until_s

          sleep POLL_S
        end
      end

      # A token for what is committed now; nil on a standby, or when the server does not answer.
      def sign
        row = ask(Native.homeward_engine_committed_query(@engine))
        return nil if row.nil?

        token = FFI::MemoryPointer.new(:char, Native::TOKEN_BYTES)
        with_row(row) do |columns|
          signed = Native.homeward_engine_token_sign(@tokens, @engine, columns, token, token.size)
          signed == 1 ? token.read_string : nil
        end
      end

      def self.set_cookie(token)
        "#{COOKIE}=#{token}; Path=/; Max-Age=#{MAX_AGE_S}; HttpOnly; Secure; SameSite=Lax"
      end

      private

      # A region whose server was promoted serves everything itself.
      def role(row)
        with_row(row) { |columns| Native::ROLES[Native.homeward_engine_role(@engine, columns)] }
      end

      def now_s
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end

      def cover(token, row)
        with_row(row) do |columns|
          text = token.delete("\0")
          Native::COVERAGES[Native.homeward_engine_token_coverage(@tokens, @engine, text, columns)]
        end
      end

      def with_row(row)
        return yield(nil) if row.nil?

        texts = row.map { |text| text && FFI::MemoryPointer.from_string(text) }
        columns = FFI::MemoryPointer.new(:pointer, [texts.size, Native::ENGINE_COLUMNS].max)
        columns.write_array_of_pointer(texts) # the rest is NULL
        yield columns
      end

      # The row as texts, or nil. A forked child makes a connection of its own.
      def ask(sql)
        return @ask.call(sql) if @ask

        @mutex.synchronize do
          @connection = nil unless @pid == Process.pid
          @pid = Process.pid
          2.times do
            row = question(sql)
            return row if row
          end
          nil
        end
      end

      def question(sql)
        @connection ||= PG.connect(@url, connect_timeout: 2)
        @connection.send_query(sql)
        return forget unless @connection.block(ASK_TIMEOUT_S)

        result = @connection.get_last_result
        result.ntuples == 1 ? result.values.first : nil
      rescue PG::ConnectionBad, PG::UnableToSend
        forget
      rescue PG::Error
        nil # a standby has committed nothing
      end

      def forget
        @connection&.close
        @connection = nil
      rescue PG::Error
        @connection = nil
      end
    end
  end
end
