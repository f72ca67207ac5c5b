# frozen_string_literal: true

require "homeward/replay"

module Homeward
  # All that a Rails app needs is the gem's line in its Gemfile, PRIMARY_REGION and DATABASE_URL:
  # the region's own database, and what it cannot serve to the primary region.
  #
  #   config.homeward.replay = { policy: { writes_by_method: true }, passthrough: ["/cable"] }
  #   config.homeward.publisher = HOMEWARD   # a Proc is called when the app starts
  class Railtie < Rails::Railtie
    config.homeward = ActiveSupport::OrderedOptions.new

    # Before config/database.yml is read. Migrations and consoles use it as well: run migrations
    # in the primary region.
    config.before_configuration do
      url = ENV.fetch("DATABASE_URL", "")
      # A process that this one becomes (Puma's SIGUSR2) finds the region's already.
      unless url.empty? || url == ENV["HOMEWARD_REGIONAL_URL"]
        ENV["DATABASE_URL"] = ENV["HOMEWARD_REGIONAL_URL"] = Replay.database_url
      end
    end

    initializer "homeward.replay" do |app|
      options = Railtie.options_of(app.config.homeward)
      app.middleware.insert_before 0, Replay::Middleware, **options
      app.middleware.use Replay::Catcher
      Railtie.watch_active_record
    end

    def self.options_of(config)
      options = (config.replay || {}).dup
      publisher = config.publisher
      options[:publisher] = publisher.respond_to?(:call) ? publisher.call : publisher
      options[:session] = Replay.session_from_environment unless options.key?(:session)
      options[:logger] ||= LazyLogger.new
      options
    end

    # Statements say more than the exception that ends a request: a COMMIT that came through, a
    # COMMIT of which nobody knows, an error that the app made a page of its own of.
    def self.watch_active_record
      ActiveSupport::Notifications.subscribe("sql.active_record") do |*, payload|
        Replay::Statements.note(payload)
      end
    end

    # Rails.logger is made after the middlewares are.
    class LazyLogger
      def info(line)
        Rails.logger&.info(line)
      end
    end
  end
end
