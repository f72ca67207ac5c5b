# frozen_string_literal: true

module Homeward
  # What Publisher#scope yields. Without memory for it nothing is held: events go out at once.
  class Scope
    def initialize(publisher, bytes_max)
      @native = Native.homeward_scope_begin(publisher, bytes_max)
    end

    def publish
      Native.result(Native.homeward_scope_publish(@native))
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
