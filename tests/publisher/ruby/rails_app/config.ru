# frozen_string_literal: true

# A Rails app, which knows of regions no more than its Gemfile says. POST /run/<way>/<where> runs
# the statement in its body by that way; the header x-sqlstate is what it met, for the test alone.

require "bundler/setup"
require "rails"
require "action_controller/railtie"
require "active_record/railtie"
Bundler.require(:default)

# Outermost: what the test is told goes past the helper.
class TellState
  def initialize(app)
    @app = app
  end

  def call(env)
    status, headers, body = @app.call(env)
    headers["x-sqlstate"] = env["test.sqlstate"].to_s
    [status, headers, body]
  end
end

class BatteryApp < Rails::Application
  config.eager_load = false
  config.secret_key_base = "a" * 64
  config.logger = Logger.new($stdout)
  config.log_level = :warn
  config.consider_all_requests_local = false
  config.action_dispatch.show_exceptions = true
  config.hosts.clear
  config.homeward.replay = { passthrough: ["/uploads/*"] }
  config.homeward.publisher = lambda do
    url = ENV["NATS_URL"]
    config.x.events = url && Homeward::Publisher.new(region: "ams", app: "rails", nats_urls: url)
  end

  routes.append do
    post "/run/:way/:where", to: "battery#run"
    get "/run/:way/:where", to: "battery#run"
    post "/notes", to: "battery#add"
    get "/notes/:id", to: "battery#show"
    post "/uploads/note", to: "battery#add"
    post "/hidden/:way", to: "battery#hidden"
    post "/committed/:way/:where", to: "battery#committed"
    post "/own_read_only/:way", to: "battery#own_read_only"
    get "/up", to: "battery#up"
  end
end

class Note < ActiveRecord::Base
  self.table_name = "note"
end

# Each way on a connection of its own library's.
module Ways
  def self.sequel
    @sequel = nil unless @pid == Process.pid
    @pid = Process.pid
    @sequel ||= Sequel.connect(ENV.fetch("DATABASE_URL"), test: false)
  end

  def self.pg
    is_lost = Thread.current[:pg] && Thread.current[:pg].status != PG::CONNECTION_OK
    Thread.current[:pg] = nil if is_lost
    Thread.current[:pg] ||= PG.connect(ENV.fetch("DATABASE_URL"))
  end

  def self.run(way, where, sql)
    in_block = where != "anywhere"
    case way
    when "active_record"
      base = ActiveRecord::Base
      return base.connection.execute(sql) unless in_block

      base.transaction { base.connection.execute(sql) }
    when "sequel"
      return sequel.run(sql) unless in_block

      sequel.transaction { sequel.run(sql) }
    when "pg"
      in_block ? pg.transaction { |connection| connection.exec(sql) } : pg.exec(sql)
    end
  end
end

class BatteryController < ActionController::Base
  rescue_from(ActiveRecord::StatementInvalid, with: :page) if ENV["OWN_ERROR_PAGE"]

  def run
    Ways.run(params[:way], params[:where], request.raw_post)
    response.set_header("set-cookie", "half=done; Path=/")
    render plain: "done"
  rescue StandardError => e
    tell(e)
    raise
  end

  # The app's own page for an error: the helper must see it all the same.
  def page(error)
    tell(error)
    render plain: "an error of ours", status: 500
  end

  def hidden
    case params[:way]
    when "active_record" then Note.create!(id: 77, n: 1)
    when "sequel" then Ways.sequel[:note].insert(id: 77, n: 1)
    when "pg" then Ways.pg.exec_params("INSERT INTO note VALUES ($1, 1)", [77])
    end
  rescue ActiveRecord::StatementInvalid, Sequel::Error, PG::Error
    render plain: "an error of ours", status: 500
  end

  # As of a server that is shut down after the request's first statement.
  def committed
    Ways.run(params[:way], params[:where], request.raw_post)
    Ways.run(params[:way], "anywhere", "DO $$ BEGIN RAISE admin_shutdown; END $$")
  end

  def own_read_only
    case params[:way]
    when "active_record"
      ActiveRecord::Base.transaction do
        ActiveRecord::Base.connection.execute("SET TRANSACTION READ ONLY")
        Note.create!(id: 78, n: 1)
      end
    when "sequel" then Ways.sequel.transaction(read_only: true) { Ways.sequel.run("DELETE FROM note") }
    when "pg"
      Ways.pg.transaction { |c| c.exec("SET TRANSACTION READ ONLY; DELETE FROM note") }
    end
    render plain: "done"
  rescue StandardError => e
    tell(e)
    raise
  end

  def add
    emit("note.add")
    note = Note.create!(id: params[:id], n: params[:n])
    render plain: note.id.to_s, status: :created
  end

  def show
    emit("note.show")
    note = Note.find_by(id: params[:id])
    render plain: note ? note.n.to_s : "none", status: note ? :ok : :not_found
  end

  def up
    render plain: "#{ENV['FLY_REGION']} #{Process.pid}"
  end

  private

  def emit(action)
    Rails.configuration.x.events&.audit(actor: "rails", action: action, resource: "note", outcome: "allowed")
  end

  def tell(error)
    error = error.cause || error.wrapped_exception while error && !error.is_a?(PG::Error)
    request.env["test.sqlstate"] = error&.result&.error_field(PG::Result::PG_DIAG_SQLSTATE)
  end
end

BatteryApp.initialize!
run TellState.new(BatteryApp)
