# frozen_string_literal: true

module Homeward
  module Forward
    # How a call ended. Only `outcome` says whether it took effect:
    #
    #   :ok             committed, by this call or by an earlier one with this key (`stored`)
    #   :failed         not done: the handler refused; `code` and `body` are its own
    #   :abandoned      not done, and it never will be
    #   :refused        not done: it cannot run as it is; `body` says why
    #   :busy           not done: try again after `retry_after` seconds
    #   :expired        not done: the deadline passed before COMMIT
    #   :unavailable    not done: leader or NATS cannot be reached
    #   :no_responders  not done: no server serves this operation
    #   :not_found      Client#outcome: no call with this key has ended so far
    #   :in_doubt       nobody knows; Client#outcome and Client#abandon tell later
    #
    # replica: :not_asked, :covered, :behind or :away. session_token is nil if there is none. Texts
    # are marked as UTF-8; a body may have any bytes.
    Reply = Struct.new(:outcome, :key, :body, :code, :stored, :retry_after, :session_token,
                       :replica, :attempts, keyword_init: true) do
      def ok?
        outcome == :ok
      end

      # Copies a reply of the library's, and frees it.
      def self.take(pointer)
        raise NoMemoryError, "no memory for the reply; query the key's outcome" if pointer.null?

        from(Native::Reply.new(pointer))
      ensure
        Native.homeward_reply_free(pointer)
      end

      def self.from(native)
        token = utf8(native[:session_token])
        new(outcome: Native::OUTCOMES.fetch(native[:outcome], :in_doubt), key: utf8(native[:key]),
            body: utf8(native[:body].read_bytes(native[:body_bytes])), code: utf8(native[:code]),
            stored: native[:was_stored] == 1, retry_after: native[:retry_after_ms] / 1000.0,
            session_token: token.empty? ? nil : token, attempts: native[:attempts],
            replica: Native::REPLICA_STATES.fetch(native[:replica], :not_asked))
      end
      private_class_method :from

      def self.utf8(text)
        text.dup.force_encoding(Encoding::UTF_8)
      end
      private_class_method :utf8
    end
  end
end
