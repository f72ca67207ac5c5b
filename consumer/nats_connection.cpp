#include "consumer/nats_connection.hpp"

#include <nats/nats.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "consumer/thread_body.hpp"
#include "schemas/jetstream_reply.hpp"

namespace homeward::consumer {
namespace {

constexpr std::int64_t kPingIntervalMs = 3'000;
constexpr int kPingsOutMax = 2;
constexpr std::int64_t kConnectTimeoutMs = 5'000;
constexpr std::int64_t kWriteDeadlineMs = 5'000;
constexpr std::int64_t kReconnectWaitMs = 250;
/// Of what is read and written at once.
constexpr int kBufferBytes = 256 * 1'024;
/// How long a reader of an inbox waits before it looks whether it is still wanted. It is woken
/// when it is not; this is only the bound.
constexpr std::int64_t kListenMs = 1'000;
/// What is handed on at once, at most.
constexpr std::size_t kArrivalsMax = 512;
/// After so many at once, more are on their way, and the reader lets them come together: to be
/// woken for each of them costs more than the message.
constexpr std::size_t kArrivalsMany = 16;
constexpr auto kGather = std::chrono::microseconds(500);

template <typename T, void (*destroy)(T*)>
struct Destroyer {
    void operator()(T* object) const { destroy(object); }
};
using OptionsPtr = std::unique_ptr<natsOptions, Destroyer<natsOptions, natsOptions_Destroy>>;
using ConnectionPtr =
    std::unique_ptr<natsConnection, Destroyer<natsConnection, natsConnection_Destroy>>;
using SubscriptionPtr =
    std::unique_ptr<natsSubscription, Destroyer<natsSubscription, natsSubscription_Destroy>>;
using MsgPtr = std::unique_ptr<natsMsg, Destroyer<natsMsg, natsMsg_Destroy>>;

void require(natsStatus status, const std::string& what) {
    if (status == NATS_OK) return;
    throw NatsError(what + ": " + natsStatus_GetText(status));
}

std::string joined(const std::vector<std::string>& urls) {
    std::string text;
    for (const std::string& url : urls) text += (text.empty() ? "" : ", ") + redact(url);
    return text;
}

std::string advice(natsStatus status) {
    switch (status) {
        case NATS_NO_SERVER:
        case NATS_TIMEOUT:
            return "is the server running there, and nats.urls right?";
        case NATS_CONNECTION_AUTH_FAILED:
            return "the server refuses the credentials; check nats.credentials_file, "
                   "nats.nkey_file or the user in nats.urls";
        default:
            return "check the [nats] section";
    }
}

/// The name says who may send to it, and can be guessed by nobody else: the library's own inboxes
/// are numbered, and a leaf sees those of its own domain.
std::string fresh_inbox(const std::string& domain) {
    std::random_device random;
    std::string name = consumer_inbox_prefix(domain);
    for (int i = 0; i < 4; ++i) {
        std::array<char, 9> word;
        std::snprintf(word.data(), word.size(), "%08x", random());
        name += word.data();
    }
    return name;
}

/// The public key in the file of a seed, which nats.c does not derive; a word that begins with U.
std::string public_key_in(const std::string& seed_file) {
    std::ifstream words(seed_file);
    for (std::string word; words >> word;) {
        if (word.front() == 'U') return word;
    }
    throw NatsError("nats.nkey_file " + seed_file +
                    ": cannot be read, or has no public key beside the seed; write both into it, "
                    "as `nk -gen user -pubout` prints them");
}

std::string header_of(natsMsg* message, const char* name) {
    const char* value = nullptr;
    if (natsMsgHeader_Get(message, name, &value) != NATS_OK || value == nullptr) return "";
    return value;
}

Arrival arrival_of(natsMsg* handle) {
    std::unique_ptr<void, void (*)(void*)> owner(
        handle, [](void* message) { natsMsg_Destroy(static_cast<natsMsg*>(message)); });
    Arrival arrival;
    const char* reply = natsMsg_GetReply(handle);
    const std::string_view data(natsMsg_GetData(handle),
                                static_cast<std::size_t>(natsMsg_GetDataLength(handle)));
    Delivery delivery;
    if (reply != nullptr && parse_ack_subject(reply, delivery)) {
        arrival.message = Message{std::move(owner), natsMsg_GetSubject(handle), reply,
                                  std::as_bytes(std::span<const char>(data)), delivery};
    } else {
        PullStatus status =
            parse_pull_status(header_of(handle, "Status"), header_of(handle, "Description"));
        arrival.status = status.code;
        arrival.description = std::move(status.description);
        arrival.inbox = natsMsg_GetSubject(handle);
    }
    return arrival;
}

}  // namespace

class NatsConnection::Impl {
  public:
    Impl(const Config::Nats& config, std::chrono::milliseconds patience, OnLog on_log)
        : on_log_(std::move(on_log)) {
        natsOptions* made = nullptr;
        require(natsOptions_Create(&made), "nats.c");
        const OptionsPtr options(made);
        configure(made, config);
        natsConnection* connection = nullptr;
        natsStatus status = NATS_OK;
        const auto deadline = std::chrono::steady_clock::now() + patience;
        do {
            status = natsConnection_Connect(&connection, made);
            if (status == NATS_OK || status == NATS_CONNECTION_AUTH_FAILED) break;
            nats_Sleep(kReconnectWaitMs);
        } while (std::chrono::steady_clock::now() < deadline);
        connection_.reset(connection);
        if (status != NATS_OK) {
            throw NatsError("cannot connect to NATS at " + joined(config.urls) + ": " +
                            natsStatus_GetText(status) + "; " + advice(status));
        }
        connects_ = 1;
    }

    ~Impl() {
        closing_ = true;
        subscriptions_.clear();
        natsConnection_FlushTimeout(connection_.get(), 1'000);
        natsConnection_Close(connection_.get());
        // The library tells of it on a thread of its own, last of all that it has to tell: until
        // then that thread may be in any of our callbacks.
        is_closed_.get_future().wait();
    }

    natsConnection* handle() const { return connection_.get(); }
    std::uint64_t connects() const { return connects_; }

    std::string subscribe(const std::string& domain, OnArrivals on_arrivals) {
        auto subscription = std::make_unique<Subscription>();
        subscription->inbox = fresh_inbox(domain) + ".";
        subscription->on_arrivals = std::move(on_arrivals);
        natsSubscription* made = nullptr;
        require(natsConnection_SubscribeSync(&made, connection_.get(),
                                             (subscription->inbox + "*").c_str()),
                "cannot subscribe to an inbox");
        subscription->handle.reset(made);
        // The pulls bound what can arrive.
        natsSubscription_SetPendingLimits(made, -1, -1);
        subscription->reader =
            start_thread("nats reader", [one = subscription.get()] { one->read(); });
        subscriptions_.push_back(std::move(subscription));
        return subscriptions_.back()->inbox;
    }

    void unsubscribe(const std::string& inbox) {
        std::erase_if(subscriptions_,
                      [&](const auto& subscription) { return subscription->inbox == inbox; });
    }

    /// Not the library's own request, whose inbox is one for all domains.
    std::optional<std::string> request(const std::string& domain, const std::string& subject,
                                       const std::string& body,
                                       std::chrono::milliseconds patience) {
        const std::string inbox = fresh_inbox(domain);
        natsSubscription* made = nullptr;
        require(natsConnection_SubscribeSync(&made, connection_.get(), inbox.c_str()),
                "cannot subscribe to an inbox");
        const SubscriptionPtr subscription(made);
        natsMsg* answer = nullptr;
        const bool answered =
            natsConnection_PublishRequest(connection_.get(), subject.c_str(), inbox.c_str(),
                                          body.data(), static_cast<int>(body.size())) == NATS_OK &&
            natsSubscription_NextMsg(&answer, made, patience.count()) == NATS_OK;
        if (!answered) return std::nullopt;
        const MsgPtr owned(answer);
        if (natsMsg_IsNoResponders(answer)) return std::nullopt;
        return std::string(natsMsg_GetData(answer),
                           static_cast<std::size_t>(natsMsg_GetDataLength(answer)));
    }

  private:
    /// Read by a thread of ours: the library's own would hand over, and be woken for, each message
    /// alone.
    struct Subscription {
        SubscriptionPtr handle;
        std::string inbox;
        OnArrivals on_arrivals;
        std::thread reader;

        /// Returns when its callback has been called for the last time.
        ~Subscription() {
            if (!reader.joinable()) return;
            natsSubscription_Unsubscribe(handle.get());
            reader.join();
        }

        void read() {
            std::vector<Arrival> arrivals;
            for (;;) {
                if (!take(arrivals, kListenMs)) {
                    if (!natsSubscription_IsValid(handle.get())) return;
                    continue;
                }
                while (arrivals.size() < kArrivalsMax && take(arrivals, 0)) {
                }
                const bool are_many = arrivals.size() >= kArrivalsMany;
                on_arrivals(arrivals);
                arrivals.clear();
                if (are_many) std::this_thread::sleep_for(kGather);
            }
        }

        bool take(std::vector<Arrival>& arrivals, std::int64_t patience_ms) {
            natsMsg* message = nullptr;
            if (natsSubscription_NextMsg(&message, handle.get(), patience_ms) != NATS_OK) {
                return false;
            }
            arrivals.push_back(arrival_of(message));
            return true;
        }
    };

    void configure(natsOptions* options, const Config::Nats& config) {
        std::vector<const char*> urls;
        for (const std::string& url : config.urls) urls.push_back(url.c_str());
        require(natsOptions_SetServers(options, urls.data(), static_cast<int>(urls.size())),
                "nats.urls: " + joined(config.urls));
        // Or a server in between that says it has no TLS would be believed.
        const bool wants_tls =
            std::any_of(config.urls.begin(), config.urls.end(),
                        [](const std::string& url) { return url.rfind("tls://", 0) == 0; });
        if (wants_tls) require(natsOptions_SetSecure(options, true), "TLS");
        if (!config.credentials_file.empty()) {
            require(natsOptions_SetUserCredentialsFromFiles(
                        options, config.credentials_file.c_str(), nullptr),
                    "nats.credentials_file " + config.credentials_file);
        }
        if (!config.nkey_file.empty()) {
            require(natsOptions_SetNKeyFromSeed(options, public_key_in(config.nkey_file).c_str(),
                                                config.nkey_file.c_str()),
                    "nats.nkey_file " + config.nkey_file);
        }
        if (!config.tls_ca_file.empty()) {
            require(natsOptions_LoadCATrustedCertificates(options, config.tls_ca_file.c_str()),
                    "nats.tls_ca_file " + config.tls_ca_file);
        }
        if (!config.tls_cert_file.empty()) {
            require(natsOptions_LoadCertificatesChain(options, config.tls_cert_file.c_str(),
                                                      config.tls_key_file.c_str()),
                    "nats.tls_cert_file " + config.tls_cert_file);
        }
        natsStatus s = natsOptions_SetName(options, "homeward-consumer");
        if (s == NATS_OK) s = natsOptions_SetMaxReconnect(options, -1);
        if (s == NATS_OK) s = natsOptions_SetReconnectWait(options, kReconnectWaitMs);
        if (s == NATS_OK) s = natsOptions_SetReconnectBufSize(options, 0);
        if (s == NATS_OK) s = natsOptions_SetIOBufSize(options, kBufferBytes);
        if (s == NATS_OK) s = natsOptions_SetPingInterval(options, kPingIntervalMs);
        if (s == NATS_OK) s = natsOptions_SetMaxPingsOut(options, kPingsOutMax);
        if (s == NATS_OK) s = natsOptions_SetTimeout(options, kConnectTimeoutMs);
        if (s == NATS_OK) s = natsOptions_SetWriteDeadline(options, kWriteDeadlineMs);
        if (s == NATS_OK) s = natsOptions_SetDisconnectedCB(options, &Impl::on_disconnected, this);
        if (s == NATS_OK) s = natsOptions_SetReconnectedCB(options, &Impl::on_reconnected, this);
        if (s == NATS_OK) s = natsOptions_SetClosedCB(options, &Impl::on_closed, this);
        if (s == NATS_OK) s = natsOptions_SetErrorHandler(options, &Impl::on_error, this);
        require(s, "the NATS connection's options");
    }

    // The library is C: an exception must not leave one of these. They only log and count.
    static void on_disconnected(natsConnection*, void* self) noexcept {
        auto* impl = static_cast<Impl*>(self);
        if (!impl->closing_) impl->on_log_("connection to NATS lost");
    }
    static void on_reconnected(natsConnection*, void* self) noexcept {
        auto* impl = static_cast<Impl*>(self);
        ++impl->connects_;
        impl->on_log_("connected to NATS again");
    }
    static void on_closed(natsConnection*, void* self) noexcept {
        static_cast<Impl*>(self)->is_closed_.set_value();
    }
    static void on_error(natsConnection*, natsSubscription*, natsStatus status,
                         void* self) noexcept {
        static_cast<Impl*>(self)->on_log_(std::string("NATS: ") + natsStatus_GetText(status));
    }

    OnLog on_log_;
    std::atomic<std::uint64_t> connects_{0};
    std::atomic<bool> closing_{false};
    std::promise<void> is_closed_;
    std::vector<std::unique_ptr<Subscription>> subscriptions_;
    ConnectionPtr connection_;
};

NatsConnection::NatsConnection(const Config::Nats& config, std::chrono::milliseconds patience,
                               OnLog on_log)
    : impl_(std::make_unique<Impl>(config, patience, std::move(on_log))) {}
NatsConnection::~NatsConnection() = default;

bool NatsConnection::is_connected() const {
    return natsConnection_Status(impl_->handle()) == NATS_CONN_STATUS_CONNECTED;
}
std::uint64_t NatsConnection::connects() const {
    return impl_->connects();
}

std::optional<std::string> NatsConnection::request(const std::string& domain,
                                                   const std::string& subject,
                                                   const std::string& body,
                                                   std::chrono::milliseconds patience) {
    return impl_->request(domain, subject, body, patience);
}

bool NatsConnection::publish(const std::string& subject, std::string_view body) {
    return natsConnection_Publish(impl_->handle(), subject.c_str(), body.data(),
                                  static_cast<int>(body.size())) == NATS_OK;
}
bool NatsConnection::publish(const std::string& subject, const std::string& reply,
                             std::string_view body) {
    return natsConnection_PublishRequest(impl_->handle(), subject.c_str(), reply.c_str(),
                                         body.data(), static_cast<int>(body.size())) == NATS_OK;
}

std::string NatsConnection::subscribe(const std::string& domain, OnArrivals on_arrivals) {
    return impl_->subscribe(domain, std::move(on_arrivals));
}
void NatsConnection::unsubscribe(const std::string& inbox) {
    impl_->unsubscribe(inbox);
}

}  // namespace homeward::consumer
