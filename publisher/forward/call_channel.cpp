#include "publisher/forward/call_channel.hpp"

#include <nats/nats.h>

#include <map>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "publisher/forward/call_wire.hpp"
#include "publisher/platform/fork_guard.hpp"
#include "publisher/platform/thread_body.hpp"
#include "publisher/send/nats_handle.hpp"
#include "publisher/send/nats_link.hpp"
#include "publisher/send/nats_options.hpp"

namespace homeward::forward {
namespace {

Received received(natsMsg* message, const char* header) {
    Received parts;
    parts.subject = natsMsg_GetSubject(message);
    if (const char* reply = natsMsg_GetReply(message)) parts.reply = reply;
    const char* value = nullptr;
    if (natsMsgHeader_Get(message, header, &value) == NATS_OK && value != nullptr) {
        parts.header = value;
    }
    parts.body = {natsMsg_GetData(message),
                  static_cast<std::size_t>(natsMsg_GetDataLength(message))};
    parts.has_no_responders = natsMsg_IsNoResponders(message);
    return parts;
}

/// Of "Permissions Violation for Publish to "subject""; empty for anything else.
std::string_view denied_subject(std::string_view words) {
    constexpr std::string_view kPublish = "ermissions Violation for Publish to \"";
    const std::size_t at = words.find(kPublish);
    if (at == std::string_view::npos) return {};
    words.remove_prefix(at + kPublish.size());
    return words.substr(0, words.find('"'));
}

}  // namespace

/// Receives nats.c's callbacks. Some may be running or queued when the channel ends. So each
/// callback holds a reference to this object, and callbacks after end() are ignored.
class CallChannel::Listener {
  public:
    /// The reference of one callback; the library's last callback for its object deletes it.
    using Hold = std::shared_ptr<Listener>;

    Listener(Callbacks callbacks, const char* header)
        : callbacks_(std::move(callbacks)), header_(header) {}

    void message(natsMsg* message) {
        const std::shared_lock lock(mutex_);
        if (!is_over_) callbacks_.on_message(received(message, header_));
    }
    void log(std::string_view line) {
        const std::shared_lock lock(mutex_);
        if (!is_over_) callbacks_.on_log(line);
    }
    /// A message that is about to be published.
    void count(const std::string& subject) {
        if (!callbacks_.on_denied) return;
        const std::lock_guard lock(undenied_mutex_);
        ++undenied_[subject];
    }
    void deny(std::string_view subject) {
        const std::shared_lock lock(mutex_);
        if (!is_over_ && callbacks_.on_denied && is_last(subject)) callbacks_.on_denied(subject);
    }
    void lose() {
        const std::shared_lock lock(mutex_);
        if (!is_over_) callbacks_.on_lost();
    }
    /// Waits for running callbacks.
    void end() {
        const std::unique_lock lock(mutex_);
        is_over_ = true;
    }

  private:
    bool is_last(std::string_view denied) {
        const std::lock_guard lock(undenied_mutex_);
        const auto found = undenied_.find(denied);
        return found != undenied_.end() && --found->second <= 0;
    }

    std::shared_mutex mutex_;
    bool is_over_ = false;
    const Callbacks callbacks_;
    const char* const header_;
    std::mutex undenied_mutex_;
    std::map<std::string, std::int64_t, std::less<>> undenied_;  // messages, by subject
};

class CallChannel::Impl {
  public:
    Impl(const PublisherOptions& wanted, const std::string& url, bool wants_cause,
         const char* header, Callbacks callbacks)
        : listener_(std::make_shared<Listener>(std::move(callbacks), header)) {
        ForkGuard::watch();
        natsOptions* made = nullptr;
        require(natsOptions_Create(&made), "nats.c");
        OptionsPtr options(made);
        set_server(made, wanted, url);
        set_credentials(made, wanted);
        set_behaviour(made, wanted);
        auto hold = std::make_unique<Listener::Hold>(listener_);
        set_callbacks(made, hold.get());
        connection_ = connect(made, wanted, url, wants_cause);
        static_cast<void>(hold.release());  // on_closed() has it
        keep_socket(connection_.get());
    }

    ~Impl() {
        listener_->end();
        ForkGuard::forget_socket(connection_.get());
        for (const SubscriptionPtr& subscription : subscriptions_) {
            natsSubscription_Unsubscribe(subscription.get());
        }
        if (connection_ != nullptr) natsConnection_Close(connection_.get());
    }

    void subscribe(const std::string& subject, const std::string& queue) {
        natsSubscription* subscription = nullptr;
        auto hold = std::make_unique<Listener::Hold>(listener_);
        const natsStatus status =
            queue.empty()
                ? natsConnection_Subscribe(&subscription, connection_.get(), subject.c_str(),
                                           &Impl::on_message, hold.get())
                : natsConnection_QueueSubscribe(&subscription, connection_.get(), subject.c_str(),
                                                queue.c_str(), &Impl::on_message, hold.get());
        if (status != NATS_OK) {
            throw ConnectError("cannot subscribe to " + subject + ": " +
                               natsStatus_GetText(status));
        }
        subscriptions_.emplace_back(subscription);
        // If that fails, the hold lives as long as this object, since on_message() may still run.
        if (natsSubscription_SetOnCompleteCB(subscription, &Impl::on_complete, hold.get()) !=
            NATS_OK) {
            unreturned_holds_.push_back(std::move(hold));
            return;
        }
        static_cast<void>(hold.release());
    }

    bool drain(std::chrono::milliseconds time) {
        bool is_drained = true;
        for (const SubscriptionPtr& subscription : subscriptions_) {
            natsSubscription_DrainTimeout(subscription.get(), time.count());
        }
        for (const SubscriptionPtr& subscription : subscriptions_) {
            const natsStatus status =
                natsSubscription_WaitForDrainCompletion(subscription.get(), time.count());
            is_drained = is_drained && status == NATS_OK;
        }
        return is_drained;
    }

    Published publish(const Message& message) {
        if (!is_connected() || message.body.size() + kHeaderBytesMax > payload_bytes_max()) {
            return Published::not_sent;
        }
        natsMsg* made = nullptr;
        if (natsMsg_Create(&made, message.subject.c_str(),
                           message.reply.empty() ? nullptr : message.reply.c_str(),
                           message.body.data(), static_cast<int>(message.body.size())) != NATS_OK) {
            return Published::not_sent;
        }
        const MsgPtr owned(made);
        if (natsMsgHeader_Set(made, message.header_name, message.header.c_str()) != NATS_OK) {
            return Published::not_sent;
        }
        listener_->count(message.subject);
        return natsConnection_PublishMsg(connection_.get(), made) == NATS_OK ? Published::sent
                                                                             : Published::unknown;
    }

    bool flush(std::chrono::milliseconds time) {
        return natsConnection_FlushTimeout(connection_.get(), time.count()) == NATS_OK;
    }
    bool is_connected() const {
        return natsConnection_Status(connection_.get()) == NATS_CONN_STATUS_CONNECTED;
    }
    std::size_t payload_bytes_max() const {
        return static_cast<std::size_t>(natsConnection_GetMaxPayload(connection_.get()));
    }

  private:
    static void set_callbacks(natsOptions* options, Listener::Hold* hold) {
        natsStatus s = natsOptions_SetDisconnectedCB(options, &Impl::on_disconnected, hold);
        if (s == NATS_OK) s = natsOptions_SetClosedCB(options, &Impl::on_closed, hold);
        if (s == NATS_OK) s = natsOptions_SetErrorHandler(options, &Impl::on_error, hold);
        // By default, nats.c delays a message by up to 1 ms to send several at once.
        if (s == NATS_OK) s = natsOptions_SetSendAsap(options, true);
        require(s, "the NATS connection's options");
    }

    // nats.c is C: an exception that escaped a callback would terminate the host application.
    static void on_message(natsConnection*, natsSubscription*, natsMsg* message,
                           void* hold) noexcept {
        const MsgPtr owned(message);
        contain(hold, [&] { listener(hold).message(message); });
    }
    static void on_disconnected(natsConnection*, void* hold) noexcept {
        contain(hold, [&] { listener(hold).lose(); });
    }
    static void on_error(natsConnection* connection, natsSubscription*, natsStatus status,
                         void* hold) noexcept {
        contain(hold, [&] {
            const std::string_view text = last_error(connection);
            const std::string_view subject = denied_subject(text);
            if (!subject.empty()) listener(hold).deny(subject);
            listener(hold).log(error_line(text, status));
        });
    }
    static void on_closed(natsConnection*, void* hold) noexcept { on_complete(hold); }
    static void on_complete(void* hold) noexcept { delete static_cast<Listener::Hold*>(hold); }
    static Listener& listener(void* hold) { return **static_cast<Listener::Hold*>(hold); }
    template <typename Body>
    static void contain(void* hold, Body&& body) noexcept {
        run_contained(
            "nats.c", "the call is sent again when its answer is late",
            [&](std::string_view line) { listener(hold).log(line); }, body);
    }

    Listener::Hold listener_;
    std::vector<std::unique_ptr<Listener::Hold>> unreturned_holds_;
    ConnectionPtr connection_;
    std::vector<SubscriptionPtr> subscriptions_;
};

CallChannel::CallChannel(const PublisherOptions& options, const std::string& url, bool wants_cause,
                         const char* header, Callbacks callbacks)
    : impl_(std::make_unique<Impl>(options, url, wants_cause, header, std::move(callbacks))) {}
CallChannel::~CallChannel() = default;
void CallChannel::subscribe(const std::string& subject, const std::string& queue) {
    impl_->subscribe(subject, queue);
}
bool CallChannel::drain(std::chrono::milliseconds time) {
    return impl_->drain(time);
}
CallChannel::Published CallChannel::publish(const Message& message) {
    return impl_->publish(message);
}
bool CallChannel::flush(std::chrono::milliseconds time) {
    return impl_->flush(time);
}
bool CallChannel::is_connected() const {
    return impl_->is_connected();
}
std::size_t CallChannel::payload_bytes_max() const {
    return impl_->payload_bytes_max();
}

}  // namespace homeward::forward
