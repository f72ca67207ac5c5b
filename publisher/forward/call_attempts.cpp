#include "publisher/forward/call_attempts.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace homeward::forward {
namespace {

template <typename Number>
bool parse(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

unsigned CallAttempts::begin(const std::weak_ptr<const void>& channel) {
    const std::lock_guard lock(mutex_);
    if (begun_ == 0) first_channel_ = channel;
    is_answered_.push_back(false);
    return begun_++;
}

void CallAttempts::cancel() {
    const std::lock_guard lock(mutex_);
    is_answered_.pop_back();
    --begun_;
}

void CallAttempts::answer(unsigned number, Answer answer) {
    {
        const std::lock_guard lock(mutex_);
        if (number >= is_answered_.size() || is_answered_[number]) return;
        is_answered_[number] = true;
        if (answer.outcome != Outcome::in_doubt) ++closed_;
        answers_.push_back(std::move(answer));
    }
    came_.notify_one();
}

std::optional<Answer> CallAttempts::wait(Clock::time_point until) {
    std::unique_lock lock(mutex_);
    came_.wait_until(lock, until, [this] { return !answers_.empty(); });
    if (answers_.empty()) return std::nullopt;
    Answer first = std::move(answers_.front());
    answers_.pop_front();
    return first;
}

CallAttempts::Left CallAttempts::take_left() {
    const std::lock_guard lock(mutex_);
    return {std::exchange(answers_, {}), closed_ < begun_};
}

bool CallAttempts::has_open() const {
    const std::lock_guard lock(mutex_);
    return closed_ < begun_;
}

unsigned CallAttempts::begun() const {
    const std::lock_guard lock(mutex_);
    return begun_;
}

bool CallAttempts::is_only_one_of(const std::weak_ptr<const void>& channel) const {
    const std::lock_guard lock(mutex_);
    return begun_ == 1 && !first_channel_.owner_before(channel) &&
           !channel.owner_before(first_channel_);
}

CallRegistry::Entry::Entry(CallRegistry& registry, std::string subject) : registry_(registry) {
    const std::lock_guard lock(registry_.mutex_);
    id_ = registry_.next_id_++;
    registry_.calls_.emplace(id_, Known{std::move(subject), attempts_});
}

CallRegistry::Entry::~Entry() {
    const std::lock_guard lock(registry_.mutex_);
    registry_.calls_.erase(id_);
}

std::string CallRegistry::Entry::token(unsigned number) const {
    return std::to_string(id_) + "-" + std::to_string(number);
}

void CallRegistry::answer(std::string_view token, Answer answer) {
    const std::size_t dash = std::min(token.find('-'), token.size());
    std::uint64_t id = 0;
    unsigned number = 0;
    if (dash == token.size() || !parse(token.substr(0, dash), id) ||
        !parse(token.substr(dash + 1), number)) {
        return;
    }
    std::shared_ptr<CallAttempts> attempts;
    {
        const std::lock_guard lock(mutex_);
        const auto found = calls_.find(id);
        if (found == calls_.end()) return;
        attempts = found->second.attempts;
    }
    attempts->answer(number, std::move(answer));
}

void CallRegistry::refuse(std::string_view subject, const std::weak_ptr<const void>& channel,
                          const Answer& refusal) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, known] : calls_) {
        if (known.subject == subject && known.attempts->is_only_one_of(channel)) {
            known.attempts->answer(0, refusal);
        }
    }
}

}  // namespace homeward::forward
