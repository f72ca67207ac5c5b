#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "publisher/forward/call_wire.hpp"

namespace homeward::forward {

/// The messages that one call has sent, and the answer to each. An unanswered message may still
/// run: while there is one, the call must not be reported as not done. Used by the calling thread
/// and by the threads that deliver answers.
class CallAttempts {
  public:
    using Clock = std::chrono::steady_clock;

    /// Counts a message, which `channel` is to carry; returns its number.
    unsigned begin(const std::weak_ptr<const void>& channel = {});
    /// Uncounts the last message, which was not sent.
    void cancel();
    /// An answer to message `number`; a second one is ignored.
    void answer(unsigned number, Answer answer);
    /// The next answer; nullopt if none arrives before `until`.
    std::optional<Answer> wait(Clock::time_point until);

    /// A snapshot under one lock, taken when the wait ends: an answer that arrives at the deadline
    /// is either in `answers`, or its message counts as open.
    struct Left {
        std::deque<Answer> answers;
        bool is_open;
    };
    Left take_left();

    unsigned begun() const;
    /// Whether there is one message, and `channel` has carried it.
    bool is_only_one_of(const std::weak_ptr<const void>& channel) const;
    /// Whether a message has no answer, or only `in_doubt`.
    bool has_open() const;

  private:
    mutable std::mutex mutex_;
    std::condition_variable came_;
    unsigned begun_ = 0;
    unsigned closed_ = 0;
    std::weak_ptr<const void> first_channel_;
    std::deque<Answer> answers_;
    std::deque<bool> is_answered_;
};

/// Calls in flight, by the number in their reply subjects. Any thread.
class CallRegistry {
  public:
    /// A call's entry, removed at its end.
    class Entry {
      public:
        /// `subject`: where its messages are published.
        Entry(CallRegistry& registry, std::string subject);
        ~Entry();
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;

        CallAttempts& attempts() { return *attempts_; }
        /// "17-2": the last token of a reply subject.
        std::string token(unsigned number) const;

      private:
        CallRegistry& registry_;
        std::shared_ptr<CallAttempts> attempts_ = std::make_shared<CallAttempts>();
        std::uint64_t id_;
    };

    /// Delivers an answer to its call; drops late and unknown ones.
    void answer(std::string_view token, Answer answer);
    /// Delivers `refusal` to calls to `subject` whose only message `channel` has carried: its NATS
    /// server discarded all of them. What another channel has carried may run.
    void refuse(std::string_view subject, const std::weak_ptr<const void>& channel,
                const Answer& refusal);

  private:
    std::mutex mutex_;
    std::uint64_t next_id_ = 1;
    struct Known {
        std::string subject;
        std::shared_ptr<CallAttempts> attempts;
    };
    std::map<std::uint64_t, Known> calls_;
};

}  // namespace homeward::forward
