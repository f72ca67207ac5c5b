#include <homeward/forward/client.hpp>

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "publisher/forward/call_attempts.hpp"
#include "publisher/forward/channel_keeper.hpp"
#include "publisher/forward/connection_options.hpp"
#include "publisher/send/nats_handle.hpp"
#include "schemas/nats/outage_log.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward::forward {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

constexpr auto kNoConnectionPause = 20ms;
constexpr auto kRetryPauseFirst = 25ms;
constexpr auto kRetryPauseMax = 500ms;
/// A longer deadline is cut to this, so that sums of times do not overflow.
constexpr Milliseconds kDeadlineMax = std::chrono::hours(24 * 3650);
/// With less time left a call is not sent again.
constexpr auto kTimeMin = 20ms;
/// Of the time left, a server gets so much less, up to the maximum: its "expired" shall arrive
/// before the caller has given up.
constexpr int kWayBackShare = 10;
constexpr std::chrono::microseconds kWayBackMax = 100ms;

ClientOptions checked(ClientOptions options) {
    for (const auto& [name, time] :
         {std::pair("deadline", options.deadline), {"retry_after", options.retry_after}}) {
        if (time.count() > 0) continue;
        throw SetupError("forwarded calls: " + std::string(name) + " is " +
                         std::to_string(time.count()) + " ms; expected 1 or more");
    }
    return options;
}

/// Nothing that still is to come can change it.
bool is_final(Outcome outcome) {
    switch (outcome) {
        case Outcome::ok:
        case Outcome::failed:
        case Outcome::abandoned:
        case Outcome::refused:
        case Outcome::not_found:
            return true;
        case Outcome::busy:
        case Outcome::expired:
        case Outcome::unavailable:
        case Outcome::no_responders:
        case Outcome::in_doubt:
            break;
    }
    return false;
}

Answer answer_of(const Received& message) {
    Answer answer;
    if (message.has_no_responders) {
        answer.outcome = Outcome::no_responders;
        answer.body = "no server serves this operation, or the link to the primary region is down";
        return answer;
    }
    if (auto parsed = parse_reply_header(message.header)) {
        answer = std::move(*parsed);
        answer.body = message.body;
    } else {
        answer.body = "the answer is not of a version that this client knows";
    }
    return answer;
}

/// What is sent, again and again.
struct Request {
    std::string subject;
    std::string key;
    std::string_view body;
    Clock::time_point deadline;
};

}  // namespace

class Client::Impl {
  public:
    explicit Impl(ClientOptions options)
        : options_(checked(std::move(options))),
          connection_(checked_connection(options_.connection)),
          inbox_((connection_.inbox_prefix.empty()
                      ? app_inbox_prefix(connection_.region, connection_.app)
                      : connection_.inbox_prefix + ".") +
                 random_hex() + "."),
          keeper_({connection_, kReplyHeader, [this](const Received& message) { receive(message); },
                   [this](std::string_view subject) { deny(subject); },
                   [this](CallChannel& channel) { channel.subscribe(inbox_ + "*", ""); }}) {
        keeper_.start();
    }

    Reply call(std::string_view operation, std::string_view body, CallOptions&& call) {
        if (!is_valid_operation(operation)) {
            return refusal("the operation \"" +
                           std::string(operation.substr(0, kOperationBytesMax)) +
                           "\" is not valid; expected words of a-z 0-9 _ - with dots between");
        }
        Reply reply = send(operation, call.key.empty() ? random_key() : std::move(call.key), body,
                           call.deadline);
        if (reply && call.wait_for_replica && options_.replica_wait &&
            !reply.session_token.empty()) {
            reply.replica = wait_for_replica(reply.session_token);
        }
        return reply;
    }

    Reply send(std::string_view operation, std::string key, std::string_view body,
               Milliseconds deadline) {
        if (!is_valid_key(key)) {
            return refusal("the key \"" + key.substr(0, kKeyBytesMax) +
                           "\" is not valid; expected 1 to 128 printable ASCII characters");
        }
        if (getpid() != pid_) {
            Reply reply;
            reply.outcome = Outcome::unavailable;
            reply.body = "this client was made before fork(); make one in the child";
            return reply;
        }
        const Milliseconds time =
            std::min(deadline.count() == 0 ? options_.deadline : deadline, kDeadlineMax);
        if (time.count() < 0) {
            Reply reply;
            reply.outcome = Outcome::expired;
            reply.key = std::move(key);
            reply.body = "the deadline has passed; nothing was sent";
            return reply;
        }
        Request request{call_subject(connection_.region, connection_.app, operation),
                        std::move(key), body, Clock::now() + time};
        return run(request);
    }

    bool is_connected() const { return !is_in_child() && keeper_.channel() != nullptr; }
    bool is_in_child() const { return getpid() != pid_; }

  private:
    /// The app's function may throw; the call has committed in any case.
    ReplicaState wait_for_replica(const std::string& session_token) {
        std::string cause = "unknown exception";
        try {
            const auto state = options_.replica_wait(session_token, options_.replica_wait_max);
            const std::lock_guard lock(replica_mutex_);
            const auto line = no_replica_.ended("calls wait for the replica again", Clock::now());
            if (line) connection_.on_log(*line);
            return state;
        } catch (const std::exception& error) {
            cause = error.what();
        } catch (...) {
            // Its name is not known.
        }
        const std::lock_guard lock(replica_mutex_);
        const auto line = no_replica_.failed(
            "calls do not wait for the replica: " + cause + "; the call has committed",
            Clock::now());
        if (line) connection_.on_log(*line);
        return ReplicaState::away;
    }

    static Reply refusal(std::string text) {
        Reply reply;
        reply.outcome = Outcome::refused;
        reply.body = std::move(text);
        return reply;
    }

    static Reply reply_of(Answer&& answer, const Request& request, unsigned attempts) {
        Reply reply;
        reply.outcome = answer.outcome;
        reply.key = request.key;
        reply.body = std::move(answer.body);
        reply.code = std::move(answer.code);
        reply.retry_after = answer.retry_after;
        reply.was_stored = answer.was_stored;
        reply.session_token = std::move(answer.session_token);
        reply.attempts = attempts;
        return reply;
    }

    Reply run(const Request& request) {
        CallRegistry::Entry entry(registry_, request.subject);
        CallAttempts& attempts = entry.attempts();
        std::optional<Answer> last;
        Milliseconds silence = std::min(options_.retry_after, kDeadlineMax);
        auto pause = kRetryPauseFirst;
        auto next_send = Clock::now();
        while (Clock::now() < request.deadline) {
            if (Clock::now() >= next_send) {
                const Sent sent = send_once(request, entry);
                if (sent == Sent::too_large && attempts.begun() == 0) return too_large(request);
                if (sent == Sent::too_large) break;
                next_send = Clock::now() + (sent == Sent::yes ? silence : kNoConnectionPause);
                if (sent == Sent::yes) silence = std::min(silence * 2, kDeadlineMax);
            }
            auto answer = attempts.wait(std::min(next_send, request.deadline));
            if (!answer) continue;
            if (is_final(answer->outcome)) {
                return reply_of(std::move(*answer), request, attempts.begun());
            }
            const bool is_over = Impl::is_over(*answer, request) && !attempts.has_open();
            last = std::move(*answer);
            if (is_over) break;
            const auto left =
                std::chrono::duration_cast<Milliseconds>(request.deadline - Clock::now());
            next_send = Clock::now() + std::max(jittered(pause), std::min(last->retry_after, left));
            // One more message would only be in doubt at the end.
            if (next_send + kTimeMin > request.deadline) next_send = request.deadline;
            pause = std::min(pause * 2, Milliseconds(kRetryPauseMax));
        }
        return give_up(request, attempts, std::move(last));
    }

    /// Nobody serves it, or it is too late; but a message may have joined one with less time left.
    static bool is_over(const Answer& answer, const Request& request) {
        return answer.outcome == Outcome::no_responders ||
               (answer.outcome == Outcome::expired &&
                Clock::now() + 2 * kWayBackMax > request.deadline);
    }

    /// When there is nothing more to wait for. Not done is only what every message was answered
    /// with.
    static Reply give_up(const Request& request, CallAttempts& attempts,
                         std::optional<Answer> last) {
        CallAttempts::Left left = attempts.take_left();
        for (Answer& answer : left.answers) {
            last = std::move(answer);
            if (is_final(last->outcome)) {
                return reply_of(std::move(*last), request, attempts.begun());
            }
        }
        Answer answer;
        if (left.is_open) {
            answer.outcome = Outcome::in_doubt;
            answer.body = "no answer within the deadline; ask for the outcome of this key later";
        } else if (last) {
            answer = std::move(*last);
        } else {
            answer.outcome = Outcome::unavailable;
            answer.body = "no connection to NATS within the deadline; nothing was sent";
        }
        return reply_of(std::move(answer), request, attempts.begun());
    }

    static Reply too_large(const Request& request) {
        Answer answer;
        answer.outcome = Outcome::refused;
        answer.body = "the body has " + std::to_string(request.body.size()) +
                      " bytes, more than the NATS server's max_payload less 1 KiB";
        return reply_of(std::move(answer), request, 0);
    }

    enum class Sent : std::uint8_t { yes, no_connection, too_large };
    Sent send_once(const Request& request, CallRegistry::Entry& entry) {
        const auto channel = keeper_.channel();
        if (channel == nullptr) return Sent::no_connection;
        if (request.body.size() + kHeaderBytesMax > channel->payload_bytes_max()) {
            return Sent::too_large;
        }
        const auto left =
            std::chrono::duration_cast<std::chrono::microseconds>(request.deadline - Clock::now());
        const auto deadline_at = std::chrono::duration_cast<std::chrono::microseconds>(
            (std::chrono::system_clock::now() + left).time_since_epoch());
        const std::string header =
            write_call_header({request.key, deadline_at,
                               std::max(left - std::min(left / kWayBackShare, kWayBackMax), 0us)});
        const std::string reply = inbox_ + entry.token(entry.attempts().begin(channel));
        const auto published =
            channel->publish({request.subject, reply, kCallHeader, header, request.body});
        if (published != CallChannel::Published::not_sent) return Sent::yes;
        entry.attempts().cancel();
        return Sent::no_connection;
    }

    void receive(const Received& message) {
        registry_.answer(message.subject.substr(message.subject.rfind('.') + 1),
                         answer_of(message));
    }

    void deny(std::string_view subject) {
        Answer refusal;
        refusal.outcome = Outcome::refused;
        refusal.body = "the NATS login may not publish to " + std::string(subject);
        registry_.refuse(subject, keeper_.channel(), refusal);
    }

    Milliseconds jittered(Milliseconds pause) {
        const std::lock_guard lock(random_mutex_);
        return pause / 2 +
               Milliseconds(static_cast<std::int64_t>(random_()) % (pause.count() / 2 + 1));
    }

    const ClientOptions options_;
    const PublisherOptions connection_;
    const std::string inbox_;
    const pid_t pid_ = getpid();
    std::mutex replica_mutex_;
    OutageLog no_replica_;
    std::mutex random_mutex_;
    std::minstd_rand random_{std::random_device{}()};
    CallRegistry registry_;
    ChannelKeeper keeper_;  // last: its callbacks use the others
};

std::string random_key() {
    return random_hex();
}

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Client::~Client() {
    // The threads are the parent's; what they guard may be locked for ever here.
    if (impl_->is_in_child()) static_cast<void>(impl_.release());
}

Reply Client::call(std::string_view operation, std::string_view body, CallOptions options) {
    return impl_->call(operation, body, std::move(options));
}

Reply Client::outcome(std::string_view key, std::chrono::milliseconds deadline) {
    return impl_->send(kOutcomeOperation, std::string(key), "", deadline);
}

Reply Client::abandon(std::string_view key, std::chrono::milliseconds deadline) {
    return impl_->send(kAbandonOperation, std::string(key), "", deadline);
}

bool Client::is_connected() const {
    return impl_->is_connected();
}

}  // namespace homeward::forward
