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

/// The messages that one call has sent, and what came back for each. A message without an answer
/// may still run: as long as there is one, nobody may say that the call was not done. The calling
/// thread, and those that bring answers.
class CallAttempts {
  public:
    using Clock = std::chrono::steady_clock;

    /// Counts a message; returns its number.
    unsigned begin();
    /// The message has not left.
    void cancel();
    /// An answer to message `number`; a second one is ignored.
    void answer(unsigned number, Answer answer);
    /// The next answer, if one comes until then.
    std::optional<Answer> wait(Clock::time_point until);

    /// What is known when nobody waits any longer, as of one instant: an answer that comes with the
    /// deadline is either here or leaves its message open.
    struct Left {
        std::deque<Answer> answers;
        bool is_open;
    };
    Left take_left();

    unsigned begun() const;
    /// Whether a message has no answer, or one that leaves it open.
    bool has_open() const;

  private:
    mutable std::mutex mutex_;
    std::condition_variable came_;
    unsigned begun_ = 0;
    unsigned closed_ = 0;
    std::deque<Answer> answers_;
    std::deque<bool> is_answered_;
};

/// Calls under way, by the number in their reply subjects. Any thread.
class CallRegistry {
  public:
    /// A call's entry, removed at its end.
    class Entry {
      public:
        /// `subject`: of its messages.
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

    /// Passes an answer on; too late or unknown ones are dropped.
    void answer(std::string_view token, Answer answer);
    /// For calls to `subject` whose only message was thrown away.
    void refuse(std::string_view subject, const Answer& refusal);

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
