# frozen_string_literal: true

require "homeward/replay/decide"
require "homeward/replay/errors"
require "homeward/replay/pg_statements"
require "homeward/replay/session"
require "homeward/replay/statements"

module Homeward
  module Replay
    # For a handler that has committed: whatever error comes now, nobody is told to send it again.
    def self.committed!(env)
      env[COMMITTED] = true
    end

    # The outermost middleware. Decides before the app runs and after it met an error; nothing of a
    # half-done answer goes out. Any thread.
    #
    #   use Homeward::Replay::Middleware          # Rack, Sinatra, Roda, Hanami; Rails does it itself
    class Middleware
      SAFE = %w[GET HEAD OPTIONS TRACE].freeze
      LOGGED_PATH_MAX = 200

      # regions: of the environment. policy: changes of Native::POLICY_DEFAULTS. passthrough: globs
      # of paths that are the app's alone. accel_prefix: behind nginx, "@homeward_replay_".
      # session: a Session, or nil. publisher: events of a request that is replayed are dropped.
      # logger: told of each replay and refusal.
      def initialize(app, regions: Regions.from_environment, policy: {}, passthrough: [],
                     accel_prefix: ENV.fetch("REPLAY_ACCEL_PREFIX", ""), session: nil,
                     publisher: nil, logger: nil)
        @app = Catcher.new(app)
        @regions = regions
        @policy = Replay.policy(**policy)
        @passthrough = passthrough
        @accel_prefix = accel_prefix
        @session = session
        @publisher = publisher
        @logger = logger
        PgStatements.watch
      end

      def call(env)
        return @app.call(env) if passthrough?(env["PATH_INFO"].to_s)

        situation = situation_of(env)
        decision = decide(before(env, situation))
        return answer(decision, env) unless decision.verdict == :proceed
        return serve(env, situation) unless @publisher

        @publisher.scope do |scope|
          response, is_kept = serve_and_tell(env, situation)
          scope.drop unless is_kept
          response
        end
      end

      private

      def serve(env, situation)
        serve_and_tell(env, situation).first
      end

      # [response, whether it is the app's own]
      def serve_and_tell(env, situation)
        response = nil
        begin
          response = Statements.within(env) { @app.call(env) }
        rescue StandardError => e
          thrown = e
        end
        decision = decide_on(env, situation, thrown, response)
        if decision && decision.verdict != :proceed
          response[2].close if response && response[2].respond_to?(:close)
          return [answer(decision, env), false]
        end
        raise thrown if thrown

        [remember(env, response), true]
      end

      # An error that the app met and answered otherwise than with an error of its own is the app's.
      def decide_on(env, situation, thrown, response)
        is_safe = SAFE.include?(situation[:method])
        return nil if env[COMMITTED] && !is_safe

        met = met_by(env, thrown)
        return nil if met.nil? || (response && response[0] < 500)

        # A read that was lost has committed nothing.
        cause = met.cause
        cause = :connection if cause == :outcome_unknown && is_safe
        decide(situation.merge(has_handler_run: true, cause: cause, coverage: :not_asked,
                               server_role: met.server_role))
      end

      # Catcher has noted what was thrown, unless that is no error of the database's.
      def met_by(env, thrown)
        env[MET] unless thrown && Errors.met(thrown).cause == :none
      end

      def situation_of(env)
        { method: env["REQUEST_METHOD"],
          was_replayed: !env["HTTP_FLY_REPLAY_SRC"].to_s.empty?,
          has_replay_failed: !env["HTTP_FLY_REPLAY_FAILED"].to_s.empty?,
          is_websocket: env["HTTP_UPGRADE"].to_s.downcase.include?("websocket"),
          body_bytes: env["CONTENT_LENGTH"].to_i }
      end

      def before(env, situation)
        return situation if @session.nil? || @regions.primary?

        tokens = Session.tokens_of(env)
        return situation if tokens.empty?

        coverage, role = @session.look(tokens)
        situation.merge(coverage: coverage, server_role: role)
      end

      def decide(situation)
        Replay.decide(@regions, @policy, **situation)
      end

      # After a request that may have written, where the leader is.
      def remember(env, response)
        return response if @session.nil? || SAFE.include?(env["REQUEST_METHOD"])

        token = @session.sign
        return response if token.nil?

        headers = response[1]
        key = headers.keys.find { |name| name.casecmp?("set-cookie") } || "set-cookie"
        headers[key] = join(headers[key], Session.set_cookie(token))
        headers[Session::HEADER] = token
        response
      end

      # Rack 3 has a list, Rack 2 lines.
      def join(cookies, one)
        return one if cookies.nil? || cookies.empty?

        cookies.is_a?(Array) ? cookies + [one] : "#{cookies}\n#{one}"
      end

      def answer(decision, env)
        log(decision, env)
        return refusal(decision) unless decision.verdict == :replay

        target = Replay.replay_to(@regions.primary)
        if target.nil?
          return text(500, "PRIMARY_REGION is no region name: it must be of a-z, 0-9, - and _", {})
        end
        headers = { "fly-replay" => target }
        if @accel_prefix.empty?
          headers["cache-control"] = "no-store"
        else
          headers["x-accel-redirect"] = @accel_prefix + @regions.primary
        end
        [decision.status, headers, []]
      end

      def refusal(decision)
        more = {}
        more["retry-after"] = decision.retry_after_s.to_s if decision.retry_after_s.positive?
        text(decision.status, decision.text, more)
      end

      def text(status, line, more)
        [status, { "content-type" => "text/plain", "cache-control" => "no-store" }.merge(more),
         ["#{line}\n"]]
      end

      def passthrough?(path)
        return false if path.include?("..") || path.include?("//") || path.include?("%")

        @passthrough.any? { |glob| File.fnmatch(glob, path) }
      end

      # The path without its query, which may hold secrets.
      def log(decision, env)
        path = env["PATH_INFO"].to_s.b[0, LOGGED_PATH_MAX].gsub(/[^ -~]/n, "?")
        @logger&.info("homeward: #{env['REQUEST_METHOD']} #{path}: #{decision.text} " \
                      "(#{decision.status}, #{decision.reason})")
      end
    end

    # The innermost middleware, past the error pages of a framework: notes what came through. The
    # outer one uses it where a framework made an answer of it.
    class Catcher
      def initialize(app)
        @app = app
      end

      def call(env)
        @app.call(env)
      rescue StandardError => e
        Statements.note_error(env, e)
        raise
      end
    end
  end
end
