#include "publisher/send/nats_link.hpp"

#include <nats/nats.h>

#include <array>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>

#include "publisher/platform/fork_guard.hpp"
#include "publisher/platform/thread_body.hpp"
#include "publisher/send/nats_handle.hpp"
#include "publisher/send/nats_options.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward {
namespace {

PublishReply parse_answer(natsMsg* message) {
    PublishReply answer;
    if (natsMsg_IsNoResponders(message)) {
        answer.reason = std::string("no stream listens to this subject; create it with ") +
                        "`homeward-consumer streams apply`";
        return answer;
    }
    auto reply = parse_pub_ack(
        {natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))});
    if (reply.error) answer.reason = reply.error->description;
    if (!reply.malformed.empty()) {
        answer.reason = "the answer is not JetStream's: " + reply.malformed;
    }
    answer.ack = std::move(reply.value);
    return answer;
}

}  // namespace

/// Receives nats.c's callbacks. Some may be running or queued when the link ends. So each callback
/// holds a reference to this object, and callbacks after end() are ignored.
class NatsLink::Listener {
  public:
    /// The reference of one callback; the library's last callback for its object deletes it.
    using Hold = std::shared_ptr<Listener>;

    Listener(OnAnswer on_answer, OnLog on_log)
        : on_answer_(std::move(on_answer)), on_log_(std::move(on_log)) {}

    void answer(const PublishReply& answer) {
        const std::shared_lock lock(mutex_);
        if (!is_over_) on_answer_(answer);
    }
    void log(std::string_view line) {
        const std::shared_lock lock(mutex_);
        if (!is_over_) on_log_(line);
    }
    /// The connection is lost: its owner looks for the reason when it tries again.
    void wake() { log({}); }
    /// Waits for running callbacks.
    void end() {
        const std::unique_lock lock(mutex_);
        is_over_ = true;
    }

  private:
    std::shared_mutex mutex_;
    bool is_over_ = false;
    OnAnswer on_answer_;
    OnLog on_log_;
};

class NatsLink::Impl {
  public:
    Impl(const PublisherOptions& wanted, const std::string& url, bool wants_cause,
         OnAnswer on_answer, OnLog on_log)
        : listener_(std::make_shared<Listener>(std::move(on_answer), std::move(on_log))),
          inbox_((wanted.inbox_prefix.empty() ? app_inbox_prefix(wanted.region, wanted.app)
                                              : wanted.inbox_prefix + ".") +
                 random_hex() + ".") {
        ForkGuard::watch();
        natsOptions* made = nullptr;
        require(natsOptions_Create(&made), "nats.c");
        OptionsPtr options(made);
        set_server(made, wanted, url);
        set_credentials(made, wanted);
        auto hold = std::make_unique<Listener::Hold>(listener_);
        set_behaviour(made, wanted);
        set_callbacks(made, hold.get());
        connection_ = connect(made, wanted, url, wants_cause);
        static_cast<void>(hold.release());  // on_closed() has it
        keep_socket(connection_.get());
        std::array<char, 128> id{};
        if (natsConnection_GetConnectedServerId(connection_.get(), id.data(), id.size()) ==
            NATS_OK) {
            server_id_ = id.data();
        }
        subscribe();
    }

    ~Impl() {
        listener_->end();
        ForkGuard::forget_socket(connection_.get());
        if (subscription_ != nullptr) natsSubscription_Unsubscribe(subscription_.get());
        if (connection_ != nullptr) natsConnection_Close(connection_.get());
    }

    bool is_connected() const {
        return natsConnection_Status(connection_.get()) == NATS_CONN_STATUS_CONNECTED;
    }
    const std::string& server_id() const { return server_id_; }

    std::vector<std::string> other_servers() const {
        char** servers = nullptr;
        int count = 0;
        std::vector<std::string> found;
        if (natsConnection_GetDiscoveredServers(connection_.get(), &servers, &count) != NATS_OK) {
            return found;
        }
        for (int i = 0; i < count; ++i) {
            found.emplace_back(servers[i]);
            std::free(servers[i]);
        }
        std::free(static_cast<void*>(servers));
        return found;
    }

    bool publish(const std::string& subject, const std::string& message_id,
                 std::span<const std::byte> bytes, const std::string& token) {
        if (!is_connected()) return false;
        const std::string reply = inbox_ + token;
        natsMsg* made = nullptr;
        if (natsMsg_Create(&made, subject.c_str(), reply.c_str(),
                           reinterpret_cast<const char*>(bytes.data()),
                           static_cast<int>(bytes.size())) != NATS_OK) {
            return false;
        }
        const MsgPtr message(made);
        const std::string header(kMessageIdHeader);
        return natsMsgHeader_Set(made, header.c_str(), message_id.c_str()) == NATS_OK &&
               natsConnection_PublishMsg(connection_.get(), made) == NATS_OK;
    }

  private:
    static void set_callbacks(natsOptions* options, Listener::Hold* hold) {
        natsStatus s = natsOptions_SetDisconnectedCB(options, &Impl::on_disconnected, hold);
        if (s == NATS_OK) s = natsOptions_SetClosedCB(options, &Impl::on_closed, hold);
        // Without one, nats.c prints to the host's standard error.
        if (s == NATS_OK) s = natsOptions_SetErrorHandler(options, &Impl::on_error, hold);
        require(s, "the NATS connection's options");
    }

    void subscribe() {
        natsSubscription* subscription = nullptr;
        auto hold = std::make_unique<Listener::Hold>(listener_);
        const natsStatus status =
            natsConnection_Subscribe(&subscription, connection_.get(), (inbox_ + "*").c_str(),
                                     &Impl::on_message, hold.get());
        // A server that answers garbage can end the connection as early as here, or one line later.
        if (status == NATS_CONNECTION_CLOSED) return;
        if (status != NATS_OK) {
            listener_->end();
            throw ConnectError(std::string("cannot subscribe to the acknowledgements: ") +
                               natsStatus_GetText(status));
        }
        subscription_.reset(subscription);
        const natsStatus set =
            natsSubscription_SetOnCompleteCB(subscription, &Impl::on_complete, hold.get());
        if (set != NATS_OK) {
            unreturned_hold_ = std::move(hold);
            return;
        }
        static_cast<void>(hold.release());                        // on_complete() has it
        natsSubscription_SetPendingLimits(subscription, -1, -1);  // bounded by our in-flight window
    }

    // nats.c is C: an exception that escaped a callback would terminate the host application.
    static void on_message(natsConnection*, natsSubscription*, natsMsg* message,
                           void* hold) noexcept {
        const MsgPtr owned(message);
        contain(hold, [&] {
            const std::string_view subject(natsMsg_GetSubject(message));
            PublishReply answer = parse_answer(message);
            answer.token = subject.substr(subject.rfind('.') + 1);
            listener(hold).answer(answer);
        });
    }
    static void on_disconnected(natsConnection*, void* hold) noexcept {
        contain(hold, [&] { listener(hold).wake(); });
    }
    static void on_error(natsConnection* connection, natsSubscription*, natsStatus status,
                         void* hold) noexcept {
        contain(hold, [&] {
            // The text names the subject that the login may not publish or subscribe to.
            listener(hold).log(error_line(last_error(connection), status));
        });
    }
    template <typename Body>
    static void contain(void* hold, Body&& body) noexcept {
        run_contained(
            "nats.c", "the frame is sent again when its answer is late",
            [&](std::string_view line) { listener(hold).log(line); }, body);
    }
    static void on_closed(natsConnection*, void* hold) noexcept { on_complete(hold); }
    static void on_complete(void* hold) noexcept { delete static_cast<Listener::Hold*>(hold); }
    static Listener& listener(void* hold) { return **static_cast<Listener::Hold*>(hold); }

    Listener::Hold listener_;
    /// The hold of a subscription that ended before its completion callback could be set.
    std::unique_ptr<Listener::Hold> unreturned_hold_;
    const std::string inbox_;
    std::string server_id_;
    ConnectionPtr connection_;
    SubscriptionPtr subscription_;
};

NatsLink::NatsLink(const PublisherOptions& options, const std::string& url, bool wants_cause,
                   OnAnswer on_answer, OnLog on_log)
    : impl_(std::make_unique<Impl>(options, url, wants_cause, std::move(on_answer),
                                   std::move(on_log))) {}
NatsLink::~NatsLink() = default;
bool NatsLink::is_connected() const {
    return impl_->is_connected();
}
const std::string& NatsLink::server_id() const {
    return impl_->server_id();
}
std::vector<std::string> NatsLink::other_servers() const {
    return impl_->other_servers();
}
bool NatsLink::publish(const std::string& subject, const std::string& message_id,
                       std::span<const std::byte> bytes, const std::string& token) {
    return impl_->publish(subject, message_id, bytes, token);
}

}  // namespace homeward
