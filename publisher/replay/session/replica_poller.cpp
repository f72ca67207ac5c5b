#include <homeward/replay/replica_poller.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace homeward::replay {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

bool is_final(Coverage coverage) {
    return coverage == Coverage::covered || coverage == Coverage::not_asked;
}

}  // namespace

/// The thread and all it shares with the waiters. One mutex, held only for comparisons.
class ReplicaPoller::Loop {
  public:
    Loop(std::unique_ptr<PositionSource> source, const PollOptions& options)
        : source_(std::move(source)),
          options_(options),
          engine_(source_->engine()),
          wake_(eventfd(0, EFD_CLOEXEC)) {
        if (wake_ < 0) throw std::runtime_error("the replay helper's poller got no eventfd");
        pause_ = Milliseconds(options_.pause_min_ms);
        thread_ = std::thread([this] { run(); });
    }

    ~Loop() {
        {
            const std::lock_guard lock(mutex_);
            is_stopping_ = true;
            ring();
        }
        stopping_.notify_all();
        thread_.join();
        close(wake_);
    }

    /// Whether this is a forked child: the thread is the parent's, and so are the connection and
    /// perhaps the mutex.
    bool is_of_parent() const { return getpid() != process_; }

    Coverage coverage_now(const Token& token) const {
        if (is_of_parent()) return Coverage::position_unknown;
        const std::lock_guard lock(mutex_);
        return coverage(token);
    }

    ServerRole role_now() const {
        if (is_of_parent()) return ServerRole::unknown;
        const std::lock_guard lock(mutex_);
        return known_ ? known_->role : ServerRole::unknown;
    }

    Outcome wait_for(const Token& token, Milliseconds wait_max) {
        if (is_of_parent()) return {Coverage::position_unknown, false};
        const auto deadline = Clock::now() + wait_max;
        std::unique_lock lock(mutex_);
        const Coverage known = coverage(token);
        if (is_final(known)) return {known, false};
        is_wanted_ = true;
        ring();
        if (is_down_ || is_futile() || wait_max.count() <= 0) return {known, false};

        ++stats_.waited;
        Waiter waiter{token, stats_.asked + 1};
        waiters_.push_back(&waiter);
        const bool is_settled =
            waiter.settled.wait_until(lock, deadline, [&] { return waiter.is_settled; });
        if (is_settled) return {waiter.coverage, true};
        std::erase(waiters_, &waiter);
        if (!given_up_) {
            given_up_ = token;
            given_up_at_ = Clock::now();
        }
        return {coverage(token), true};
    }

    Stats stats() const {
        if (is_of_parent()) return {};
        const std::lock_guard lock(mutex_);
        return stats_;
    }

    Engine engine() const { return engine_; }

  private:
    /// Lives on the stack of the thread that waits; in `waiters_` until it is settled or gives up.
    struct Waiter {
        const Token& token;
        std::uint64_t fresh_from;  ///< number of the first question that was asked after it came
        bool is_settled = false;
        Coverage coverage = Coverage::position_unknown;
        std::condition_variable settled{};
    };

    /// Under the mutex, as all below unless it says otherwise.
    Coverage coverage(const Token& token) const {
        if (!token.is_genuine()) return Coverage::not_asked;
        if (!known_) return Coverage::position_unknown;
        const bool is_too_old =
            socket_ < 0 && Clock::now() - known_since_ > Milliseconds(options_.age_max_ms);
        return is_too_old ? Coverage::position_unknown : coverage_of(token, *known_);
    }

    /// Only while questions are asked: after a quiet time the replica may have caught up unseen.
    bool is_futile() const {
        const auto now = Clock::now();
        const Milliseconds long_enough(options_.futile_ms);
        return given_up_ && now - given_up_at_ > long_enough && now - known_since_ < long_enough;
    }

    void ring() {
        if (!is_idle_) return;
        is_idle_ = false;
        const std::uint64_t one = 1;
        // Fails only when the counter is full, and then it is readable all the same.
        [[maybe_unused]] const auto written = write(wake_, &one, sizeof one);
    }

    /// The thread; without the mutex. A source that throws has not answered: it may be the
    /// application's own, and the host must not end for it.
    void run() {
        while (sleep_until_wanted()) {
            const auto asked_at = Clock::now();
            try {
                const auto target = begin_question();
                const auto answer =
                    target ? source_->wait_for(*target, Milliseconds(options_.pause_max_ms))
                           : source_->ask();
                end_question(answer, source_->socket(), asked_at);
            } catch (...) {
                end_question({}, -1, asked_at);
            }
        }
    }

    /// False when it is time to end. The pause that follows each question comes first, so that no
    /// number of waiters makes the questions more frequent.
    bool sleep_until_wanted() {
        std::unique_lock lock(mutex_);
        const auto is_stopping = [this] { return is_stopping_; };
        if (stopping_.wait_until(lock, next_question_, is_stopping)) return false;
        while (waiters_.empty() && !is_wanted_ && !is_stopping_) {
            is_idle_ = true;
            const int socket = known_ ? socket_ : -1;
            lock.unlock();
            const bool has_hung_up = sleep_on(socket);
            lock.lock();
            is_idle_ = false;
            // A hang-up, or a word that nobody asked for, as a promotion sends: ask anew.
            if (has_hung_up) {
                known_.reset();
                is_wanted_ = true;
            }
        }
        return !is_stopping_;
    }

    /// Without the mutex. True when the socket woke it.
    bool sleep_on(int socket) const {
        std::array<pollfd, 2> files{{{wake_, POLLIN, 0}, {socket, POLLIN, 0}}};
        poll(files.data(), files.size(), -1);
        if (files[0].revents != 0) {
            std::uint64_t rings = 0;
            [[maybe_unused]] const auto got = read(wake_, &rings, sizeof rings);
        }
        return files[1].revents != 0;
    }

    /// What the server may wait for: for whoever came first, when its answer can be "not yet".
    std::optional<Position> begin_question() {
        const std::lock_guard lock(mutex_);
        ++stats_.asked;
        if (waiters_.empty() || coverage(waiters_.front()->token) != Coverage::behind) return {};
        return waiters_.front()->token.seen;
    }

    void end_question(const std::optional<ReplicaPosition>& answer, int socket,
                      Clock::time_point asked_at) {
        const std::lock_guard lock(mutex_);
        const bool has_moved = answer != known_;
        known_ = answer;
        known_since_ = asked_at;
        socket_ = socket;
        is_down_ = !answer;
        is_wanted_ = false;
        if (given_up_ && coverage(*given_up_) != Coverage::behind) given_up_.reset();
        stats_.unanswered += answer ? 0 : 1;
        pause_ = has_moved ? Milliseconds(options_.pause_min_ms)
                           : std::min(2 * pause_, Milliseconds(options_.pause_max_ms));
        next_question_ =
            is_down_ ? Clock::now() + Milliseconds(options_.retry_ms) : asked_at + pause_;
        std::erase_if(waiters_, [this](Waiter* waiter) { return complete(*waiter); });
    }

    bool complete(Waiter& waiter) const {
        waiter.coverage = coverage(waiter.token);
        if (waiter.coverage == Coverage::behind) return false;
        if (waiter.coverage == Coverage::different_timeline && stats_.asked < waiter.fresh_from) {
            return false;
        }
        waiter.is_settled = true;
        waiter.settled.notify_one();
        return true;
    }

    const std::unique_ptr<PositionSource> source_;
    const PollOptions options_;
    const Engine engine_;
    const int wake_;
    const pid_t process_ = getpid();

    mutable std::mutex mutex_;
    std::condition_variable stopping_;
    std::vector<Waiter*> waiters_;
    std::optional<ReplicaPosition> known_;
    std::optional<Token> given_up_;  ///< the first in vain, until the replica has reached it
    Clock::time_point given_up_at_{};
    Clock::time_point known_since_{};
    Clock::time_point next_question_{};
    Milliseconds pause_{};
    int socket_ = -1;
    bool is_down_ = false;    ///< the last question had no answer
    bool is_wanted_ = false;  ///< somebody would like an answer, but does not wait for it
    bool is_idle_ = false;    ///< the thread sleeps until wake_ or the socket
    bool is_stopping_ = false;
    Stats stats_;
    std::thread thread_;
};

ReplicaPoller::ReplicaPoller(std::unique_ptr<PositionSource> source, const PollOptions& options)
    : loop_(std::make_unique<Loop>(std::move(source), options)) {}
ReplicaPoller::~ReplicaPoller() {
    // To end the parent's connection from a child would end it for the parent, too.
    if (loop_->is_of_parent()) static_cast<void>(loop_.release());
}

ReplicaPoller::Outcome ReplicaPoller::wait_for(const Token& token, Milliseconds wait_max) {
    return loop_->wait_for(token, wait_max);
}
Coverage ReplicaPoller::coverage_now(const Token& token) const {
    return loop_->coverage_now(token);
}
ServerRole ReplicaPoller::role_now() const {
    return loop_->role_now();
}
Engine ReplicaPoller::engine() const {
    return loop_->engine();
}
ReplicaPoller::Stats ReplicaPoller::stats() const {
    return loop_->stats();
}

}  // namespace homeward::replay
