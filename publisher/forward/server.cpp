#include <homeward/forward/server.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "publisher/forward/call_runner.hpp"
#include "publisher/forward/call_upkeep.hpp"
#include "publisher/forward/channel_keeper.hpp"
#include "publisher/forward/clock_watch.hpp"
#include "publisher/forward/connection_options.hpp"
#include "publisher/forward/leader_link.hpp"
#include "publisher/platform/thread_body.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward::forward {
namespace {

using namespace std::chrono_literals;
using Clock = Job::Clock;
using Milliseconds = std::chrono::milliseconds;

constexpr const char* kQueueGroup = "homeward";
/// Answers go to inboxes alone, and of those that deploy/nats/generate grants to the caller's own:
/// the login may answer wherever a caller has named.
constexpr std::string_view kInboxes = "_INBOX.";
constexpr std::string_view kGrantedInboxes = "_INBOX.homeward.";

bool begins_with(std::string_view text, std::string_view prefix) {
    return text.substr(0, prefix.size()) == prefix;
}

bool may_answer_to(std::string_view reply, const CallSubject& caller) {
    return begins_with(reply, kGrantedInboxes)
               ? begins_with(reply, app_inbox_prefix(caller.region, caller.app))
               : begins_with(reply, kInboxes);
}

constexpr const char* kReplyTooLarge = "reply_too_large";
constexpr Milliseconds kBusyMin = 10ms;
constexpr Milliseconds kBusyMax = 1'000ms;
/// Of the time that calls have taken, each new one counts so much.
constexpr int kAverageOver = 16;

/// A longer deadline_max is cut to this, so that sums of times do not overflow.
constexpr Milliseconds kDeadlineMax = std::chrono::hours(24 * 3650);

ServerOptions checked(ServerOptions options) {
    if (options.database_url.empty()) throw SetupError("forwarded calls: no database_url");
    if (options.workers == 0) throw SetupError("forwarded calls: workers is 0");
    if (options.queue_max == 0) throw SetupError("forwarded calls: queue_max is 0");
    if (options.deadline_max.count() <= 0) {
        throw SetupError("forwarded calls: deadline_max is " +
                         std::to_string(options.deadline_max.count()) + " ms; expected 1 or more");
    }
    options.deadline_max = std::min(options.deadline_max, kDeadlineMax);
    return options;
}

std::optional<replay::TokenSigner> make_signer(const ServerOptions& options) {
    if (options.token_keys.empty()) return std::nullopt;
    try {
        return replay::TokenSigner(options.token_keys, options.token);
    } catch (const std::exception& error) {
        throw SetupError(std::string("forwarded calls: token_keys: ") + error.what());
    }
}

}  // namespace

class Server::Impl {
  public:
    explicit Impl(ServerOptions options)
        : options_(checked(std::move(options))),
          connection_(checked_connection(options_.connection)),
          signer_(make_signer(options_)),
          queue_(options_.queue_max),
          keeper_({connection_, kCallHeader, [this](const Received& message) { receive(message); },
                   nullptr, [this](CallChannel& channel) { subscribe(channel); }}) {
        share_.app = connection_.app;
        share_.database_url = options_.database_url;
        share_.signer = signer_ ? &*signer_ : nullptr;
        share_.on_log = connection_.on_log;
    }

    ~Impl() { static_cast<void>(close(10s)); }

    void on(std::string operation, Handler handler) {
        if (!is_valid_operation(operation)) {
            throw SetupError("forwarded calls: the operation \"" + operation +
                             "\" is not valid; expected words of a-z 0-9 _ - with dots between");
        }
        if (!handler) {
            throw SetupError("forwarded calls: the operation \"" + operation + "\" has no handler");
        }
        if (started_by_ != 0) {
            throw SetupError("forwarded calls: the operation \"" + operation +
                             "\" was added after the start");
        }
        if (!handlers_.emplace(operation, std::move(handler)).second) {
            throw SetupError("forwarded calls: the operation \"" + operation + "\" is there twice");
        }
    }

    void start() {
        if (started_by_ != 0) {
            throw SetupError("forwarded calls: the server was started before, or it is closed");
        }
        started_by_ = getpid();
        watch_ = std::make_unique<LeaderWatch>();
        share_.watch = watch_.get();
        upkeep_ = std::make_unique<CallUpkeep>(options_.database_url, *watch_, connection_.on_log);
        for (std::size_t i = 0; i < options_.workers; ++i) {
            workers_.emplace_back([this] {
                run_contained("forwarded calls, worker", "the server has one worker less",
                              connection_.on_log, [this] { work(); });
            });
        }
        keeper_.start();
    }

    /// Its threads are the parent's; what they guard may be locked for ever here.
    bool is_in_child() const { return started_by_ != 0 && started_by_ != getpid(); }

    bool close(Milliseconds time) {
        if (is_in_child()) return false;
        const std::lock_guard lock(close_mutex_);
        if (started_by_ == 0) started_by_ = getpid();
        const auto end = Clock::now() + time;
        const auto left = [&] {
            return std::max(std::chrono::duration_cast<Milliseconds>(end - Clock::now()), 1ms);
        };
        keeper_.stop();
        const std::uint64_t unsent_before = unsent_;
        const bool is_whole = drain(keeper_.channel(), left);
        keeper_.end();
        upkeep_.reset();
        watch_.reset();
        const std::uint64_t unsent = unsent_ - unsent_before;
        if (unsent > 0) {
            connection_.on_log("forwarded calls: closed without a connection to NATS, " +
                               std::to_string(unsent) +
                               " answers were not sent; their callers ask again");
        }
        return is_whole && unsent == 0;
    }

    ServerStats stats() const {
        ServerStats stats;
        if (is_in_child()) return stats;
        for (std::size_t i = 0; i < kOutcomes; ++i) stats.answered[i] = answered_[i];
        stats.joined = joined_;
        stats.queued = queue_.queued();
        stats.running = queue_.running();
        stats.retried = share_.retried;
        stats.in_doubt = share_.in_doubt;
        return stats;
    }

  private:
    /// Finishes all calls. `channel`: the last one, which has their answers; may be nullptr. False:
    /// not in the time left, or not known to have arrived.
    template <typename Left>
    bool drain(const std::shared_ptr<CallChannel>& channel, const Left& left) {
        // Before the queue closes: what has arrived here is nobody else's.
        bool is_whole = channel == nullptr || channel->drain(left());
        queue_.close();
        is_whole = queue_.wait_idle(left()) && is_whole;
        for (std::thread& worker : workers_) worker.join();
        workers_.clear();
        return (channel == nullptr || channel->flush(left())) && is_whole;
    }

    void subscribe(CallChannel& channel) {
        payload_bytes_max_ = channel.payload_bytes_max();
        const auto subscribe_to = [&](std::string_view operation) {
            channel.subscribe(call_subject("*", connection_.app, operation), kQueueGroup);
        };
        for (const auto& [operation, handler] : handlers_) subscribe_to(operation);
        subscribe_to(kOutcomeOperation);
        subscribe_to(kAbandonOperation);
    }

    /// On NATS's threads.
    void receive(const Received& message) {
        const auto arrived = Clock::now();
        const auto subject = parse_call_subject(message.subject);
        if (subject ? !may_answer_to(message.reply, *subject)
                    : !begins_with(message.reply, kInboxes)) {
            connection_.on_log("a call to " + std::string(message.subject) +
                               " wants its answer elsewhere than in its caller's inbox; it is"
                               " ignored");
            return;
        }
        const auto header = parse_call_header(message.header);
        if (!subject || !header) {
            // Not refused, which is final: an earlier message may run on a server that knows it.
            return answer(
                std::string(message.reply),
                {Outcome::unavailable, "the call is not of a version that this server knows"});
        }
        // A time from 1970 on, whatever the header says, so that differences do not overflow.
        clocks_.see(subject->region,
                    header->deadline_at - std::min(header->left, header->deadline_at));
        auto job = std::make_shared<Job>();
        job->region = subject->region;
        job->operation = subject->operation;
        job->key = header->key;
        job->body = message.body;
        // By the time left, since clocks may differ by hours; the caller's one decides in the end,
        // as it stops waiting.
        job->deadline =
            arrived + std::min<std::chrono::microseconds>(header->left, options_.deadline_max);
        job->replies.emplace_back(message.reply);
        take(std::move(job), std::string(message.reply));
    }

    void take(std::shared_ptr<Job> job, const std::string& reply) {
        switch (queue_.push(std::move(job))) {
            case CallQueue::Pushed::queued:
                break;
            case CallQueue::Pushed::joined:
                ++joined_;
                break;
            case CallQueue::Pushed::full:
            case CallQueue::Pushed::closed:
                Answer busy{Outcome::busy, "all workers and their queue are taken"};
                busy.retry_after = busy_time();
                answer(reply, busy);
        }
    }

    /// When a queue that is full now will have passed.
    Milliseconds busy_time() const {
        const auto calls = static_cast<std::int64_t>(options_.queue_max / options_.workers + 1);
        const std::chrono::microseconds time(average_us_ * calls);
        return std::clamp(std::chrono::duration_cast<Milliseconds>(time), kBusyMin, kBusyMax);
    }

    void work() {
        CallRunner runner(share_);
        runner.warm_up();
        while (const auto job = queue_.pop()) {
            const auto began = Clock::now();
            Answer result;
            run_contained("forwarded calls, worker", "the caller will ask again",
                          connection_.on_log, [&] { result = run(runner, *job); });
            const auto took =
                std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
            average_us_ += (took.count() - average_us_) / kAverageOver;
            shorten(result, *job);
            for (const std::string& reply : queue_.finish(*job)) answer(reply, result);
        }
    }

    Answer run(CallRunner& runner, const Job& job) {
        if (job.operation == kOutcomeOperation) {
            return runner.run(job, [](pqxx::work&) { return std::nullopt; });
        }
        if (job.operation == kAbandonOperation) {
            return runner.run(job, [](pqxx::work&) {
                return CallResult{Outcome::abandoned, "", "the call was abandoned by its caller"};
            });
        }
        const Handler& handler = handlers_.find(job.operation)->second;
        return runner.run(job, [&](pqxx::work& tx) {
            CallResult result;
            result.reply = handler(
                tx, {job.region, connection_.app, job.operation, job.key, job.body, job.deadline});
            const std::size_t bytes_max =
                std::min(options_.reply_bytes_max, payload_bytes_max_.load() - kHeaderBytesMax);
            if (result.reply.size() > bytes_max) {
                throw CallFailed(kReplyTooLarge,
                                 "the reply has " + std::to_string(result.reply.size()) +
                                     " bytes; at most " + std::to_string(bytes_max));
            }
            return result;
        });
    }

    /// A stored reply may be from a time when the NATS server took larger ones. How the call ended
    /// is true without it.
    void shorten(Answer& answer, const Job& job) {
        const std::size_t bytes_max = payload_bytes_max_ - kHeaderBytesMax;
        if (answer.body.size() <= bytes_max) return;
        answer.code = kReplyTooLarge;
        answer.body = "the stored reply has " + std::to_string(answer.body.size()) +
                      " bytes; the NATS server takes at most " + std::to_string(bytes_max);
        connection_.on_log("call \"" + job.key + "\": " + answer.body);
    }

    void answer(const std::string& reply, const Answer& answer) {
        const auto channel = keeper_.channel();
        if (channel == nullptr) {
            ++unsent_;  // the caller asks again
            return;
        }
        ++answered_[static_cast<std::size_t>(answer.outcome)];
        const auto published =
            channel->publish({reply, "", kReplyHeader, write_reply_header(answer), answer.body});
        if (published != CallChannel::Published::sent) ++unsent_;
    }

    const ServerOptions options_;
    const PublisherOptions connection_;
    const std::optional<replay::TokenSigner> signer_;
    std::map<std::string, Handler, std::less<>> handlers_;
    RunnerShare share_{};
    CallQueue queue_;
    ClockWatch clocks_{connection_.on_log};
    std::atomic<std::size_t> payload_bytes_max_{1u << 20};
    std::atomic<std::int64_t> average_us_{0};
    std::atomic<std::uint64_t> joined_{0};
    std::array<std::atomic<std::uint64_t>, kOutcomes> answered_{};
    std::atomic<std::uint64_t> unsent_{0};
    std::mutex close_mutex_;
    std::atomic<pid_t> started_by_{0};  // 0: not started
    std::unique_ptr<LeaderWatch> watch_;
    std::unique_ptr<CallUpkeep> upkeep_;
    std::vector<std::thread> workers_;
    ChannelKeeper keeper_;  // last: its callbacks use the others
};

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Server::~Server() {
    if (impl_->is_in_child()) static_cast<void>(impl_.release());
}
void Server::on(std::string operation, Handler handler) {
    impl_->on(std::move(operation), std::move(handler));
}
void Server::start() {
    impl_->start();
}
bool Server::close(std::chrono::milliseconds deadline) {
    return impl_->close(deadline);
}
ServerStats Server::stats() const {
    return impl_->stats();
}

}  // namespace homeward::forward
