# frozen_string_literal: true

require "homeward/replay/native"

module Homeward
  module Replay
    # What to answer: verdict :proceed, :replay or :refuse.
    Decision = Struct.new(:verdict, :status, :retry_after_s, :reason, :text, keyword_init: true)

    # PRIMARY_REGION and FLY_REGION. Without both there is only one region.
    Regions = Struct.new(:primary, :current) do
      def self.from_environment
        new(ENV.fetch("PRIMARY_REGION", ""), ENV.fetch("FLY_REGION", ""))
      end

      def primary?
        primary.to_s.empty? || current.to_s.empty? || primary == current
      end
    end

    # A policy for decide(), made once. Raises ArgumentError for a switch that there is none of.
    def self.policy(**changes)
      unknown = changes.keys - Native::POLICY_DEFAULTS.keys
      raise ArgumentError, "no such policy: #{unknown.join(', ')}" unless unknown.empty?

      all = Native::POLICY_DEFAULTS.merge(changes)
      policy = Native::Policy.new
      policy[:size] = Native::Policy.size
      policy[:flags] = Native::POLICY_FLAGS.sum { |name, flag| all[name] ? flag : 0 }
      policy[:retry_after_s] = all[:retry_after_s]
      policy
    end

    # decide() of the C++ core. `situation`: method:, and of the fields of rules.json those that
    # differ from their defaults.
    def self.decide(regions, policy, method:, cause: :none, server_role: :unknown,
                    coverage: :not_asked, body_bytes: 0, **flags)
      name = FFI::MemoryPointer.from_string(method)
      asked = Native::Situation.new
      asked[:size] = Native::Situation.size
      asked[:method] = name
      asked[:flags] = Native::SITUATION_FLAGS.sum { |flag, bit| flags[flag] ? bit : 0 }
      asked[:cause] = Native::CAUSES.index(cause)
      asked[:server_role] = Native::ROLES.index(server_role)
      asked[:coverage] = Native::COVERAGES.index(coverage)
      asked[:body_bytes] = body_bytes
      told = Native::Decision.new
      told[:size] = Native::Decision.size
      Native.homeward_decide(regions.primary, regions.current, asked, policy, told)
      Decision.new(verdict: Native::VERDICTS[told[:verdict]], status: told[:status],
                   retry_after_s: told[:retry_after_s], reason: told[:reason].to_sym,
                   text: told[:text])
    end

    # "region=scl", or nil for what is no region's name.
    def self.replay_to(region)
      value = FFI::MemoryPointer.new(:char, 128)
      Native.homeward_replay_to(region, value, value.size) == 1 ? value.read_string : nil
    end

    # DATABASE_URL for this region (publisher/replay/RULES.md). Raises SetupError, which repeats
    # nothing of it.
    def self.database_url
      url = FFI::MemoryPointer.new(:char, Native::URL_BYTES)
      why = FFI::MemoryPointer.new(:char, Native::WHY_BYTES)
      made = Native.homeward_database_url(url, url.size, nil, why, why.size)
      raise SetupError, "DATABASE_URL: #{why.read_string}" unless made == 1

      url.read_string
    end
  end
end
