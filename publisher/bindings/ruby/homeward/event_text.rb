# frozen_string_literal: true

require "json"

module Homeward
  # An event's fields as JSON text. Text that is not UTF-8 is scrubbed (U+FFFD for each bad byte),
  # never refused; what JSON cannot hold (NaN, Infinity, a circle) gives no text at all.
  module EventText
    DEPTH_MAX = 64
    # What an app's to_json, to_s or to_r may raise; NotImplementedError is a ScriptError.
    RAISED = [StandardError, ScriptError, SystemStackError].freeze

    # [text, whether it was scrubbed]; [nil, false] for what is no JSON object. Never raises.
    def self.generate(fields)
      return [nil, false] unless fields.is_a?(Hash)

      text = JSON.generate(fields)
      return [text, false] if text.encoding == Encoding::UTF_8 && text.valid_encoding?

      [JSON.generate(scrub(fields)), true]
    rescue *RAISED
      again(fields)
    end

    def self.again(fields)
      [JSON.generate(scrub(fields)), true]
    rescue *RAISED
      [nil, false]
    end
    private_class_method :again

    def self.scrub(value, depth = 0)
      raise ArgumentError, "nested too deeply" if depth > DEPTH_MAX

      case value
      when String then scrub_text(value)
      when Symbol then scrub_text(value.to_s)
      when Hash
        value.to_h { |key, inner| [scrub_text(key.to_s), scrub(inner, depth + 1)] }
      when Array then value.map { |inner| scrub(inner, depth + 1) }
      else value
      end
    end
    private_class_method :scrub

    # Bytes without an encoding are taken for UTF-8, as browsers send it.
    def self.scrub_text(text)
      text = text.dup.force_encoding(Encoding::UTF_8) if text.encoding == Encoding::BINARY
      text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace, replace: "\uFFFD")
          .scrub("\uFFFD")
    end
    private_class_method :scrub_text
  end
end
