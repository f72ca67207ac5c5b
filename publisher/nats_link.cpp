#include "publisher/nats_link.hpp"

#include <nats/nats.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <shared_mutex>

#include "publisher/fork_gate.hpp"
#include "publisher/thread_body.hpp"
#include "schemas/jetstream_reply.hpp"
#include "schemas/subject.hpp"

namespace homeward {
namespace {

// A dead peer is noticed after at most interval × (pings + 1) = 9 s.
constexpr std::int64_t kPingIntervalMs = 3'000;
constexpr int kPingsOutMax = 2;
constexpr std::int64_t kConnectTimeoutMs = 3'000;
constexpr std::int64_t kWriteDeadlineMs = 1'000;
constexpr std::int64_t kReconnectWaitMs = 250;
constexpr std::int64_t kReconnectJitterMs = 250;

template <typename T, void (*destroy)(T*)>
struct Destroyer {
    void operator()(T* object) const { destroy(object); }
};
using OptionsPtr = std::unique_ptr<natsOptions, Destroyer<natsOptions, natsOptions_Destroy>>;
using ConnectionPtr =
    std::unique_ptr<natsConnection, Destroyer<natsConnection, natsConnection_Destroy>>;
using SubscriptionPtr =
    std::unique_ptr<natsSubscription, Destroyer<natsSubscription, natsSubscription_Destroy>>;

/// nats.c frees messages under a lock of the whole library. A thread that fork() does not copy must
/// not hold it, or the child's connection waits for it for ever; so none frees while we fork.
void free_message(natsMsg* message) {
    const auto nobody_forks = ForkGate::hold();
    natsMsg_Destroy(message);
}
using MsgPtr = std::unique_ptr<natsMsg, Destroyer<natsMsg, free_message>>;

void require(natsStatus status, const std::string& what) {
    if (status == NATS_OK) return;
    throw SetupError(what + ": " + natsStatus_GetText(status));
}

/// The public key in the file of a seed, which nats.c does not derive; a word that begins with U.
std::string public_key_in(const std::filesystem::path& seed_file) {
    std::ifstream words(seed_file);
    for (std::string word; words >> word;) {
        if (word.front() == 'U') return word;
    }
    throw SetupError(seed_file.string() +
                     ": no public key beside the seed; write both into it, as "
                     "`nk -gen user -pubout` prints them");
}

/// nats.c reads the file at each connection, and says nothing of one that it cannot use.
void check_credentials(const std::filesystem::path& file) {
    std::ifstream stream(file);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    for (const char* part : {"-----BEGIN NATS USER JWT-----", "-----BEGIN USER NKEY SEED-----"}) {
        if (text.find(part) != std::string::npos) continue;
        throw SetupError(file.string() + ": not usable as NATS credentials, for the line \"" +
                         part + "\" is missing; write the file anew with `nsc generate creds`");
    }
}

/// What a person should look at when the server does not let us in.
std::string login_of(const PublisherOptions& wanted) {
    if (!wanted.credentials_file.empty()) return wanted.credentials_file.string();
    if (!wanted.nkey_seed_file.empty()) return wanted.nkey_seed_file.string();
    return "user and password in nats_urls";
}

void set_credentials(natsOptions* options, const PublisherOptions& wanted) {
    if (!wanted.credentials_file.empty()) {
        check_credentials(wanted.credentials_file);
        require(natsOptions_SetUserCredentialsFromFiles(options, wanted.credentials_file.c_str(),
                                                        nullptr),
                wanted.credentials_file.string() + ": not usable as NATS credentials");
    }
    if (!wanted.nkey_seed_file.empty()) {
        require(natsOptions_SetNKeyFromSeed(options, public_key_in(wanted.nkey_seed_file).c_str(),
                                            wanted.nkey_seed_file.c_str()),
                wanted.nkey_seed_file.string() + ": not usable as an nkey");
    }
    if (!wanted.tls_ca_file.empty()) {
        require(natsOptions_LoadCATrustedCertificates(options, wanted.tls_ca_file.c_str()),
                wanted.tls_ca_file.string() + ": not usable as CA certificates");
    }
    if (!wanted.tls_cert_file.empty()) {
        require(natsOptions_LoadCertificatesChain(options, wanted.tls_cert_file.c_str(),
                                                  wanted.tls_key_file.c_str()),
                wanted.tls_cert_file.string() + ": not usable as certificate and key");
    }
}

void set_servers(natsOptions* options, const PublisherOptions& wanted) {
    std::vector<const char*> urls;
    for (const std::string& url : wanted.nats_urls) urls.push_back(url.c_str());
    require(natsOptions_SetServers(options, urls.data(), static_cast<int>(urls.size())),
            "nats_urls: not usable as NATS servers");
    // Or a server in between that says it has no TLS would be believed.
    const bool wants_tls =
        std::any_of(wanted.nats_urls.begin(), wanted.nats_urls.end(),
                    [](const std::string& url) { return url.rfind("tls://", 0) == 0; });
    if (wants_tls) require(natsOptions_SetSecure(options, true), "TLS");
}

/// nats.c opens it for everybody: children, and programs that they become.
void keep_socket(natsConnection* connection) {
    char* ip = nullptr;
    int port = 0;
    if (natsConnection_GetLocalIPAndPort(connection, &ip, &port) != NATS_OK) return;
    ForkGate::keep_socket(connection, ip, port);
    std::free(ip);
}

PublishAnswer parse_answer(natsMsg* message) {
    PublishAnswer answer;
    if (natsMsg_IsNoResponders(message)) {
        answer.reason =
            "no stream listens to this subject; create it with "
            "`homeward-consumer streams apply`";
        return answer;
    }
    const std::string_view text(natsMsg_GetData(message),
                                static_cast<std::size_t>(natsMsg_GetDataLength(message)));
    const auto reply = parse_pub_ack(text);
    answer.stored = reply.value.has_value();
    if (reply.error) answer.reason = reply.error->description;
    if (!reply.malformed.empty()) {
        answer.reason = "the answer is not JetStream's: " + reply.malformed;
    }
    return answer;
}

}  // namespace

/// Whom nats.c's threads call. They may be at it when the link ends, and still have a call or two
/// in their queue: so each callback has a hold on this, and what comes too late is not passed on.
class NatsLink::Listener {
  public:
    /// For a callback's closure; given back by the library's last word on it.
    using Hold = std::shared_ptr<Listener>;

    Listener(OnAnswer on_answer, OnLog on_log)
        : on_answer_(std::move(on_answer)), on_log_(std::move(on_log)) {}

    void answer(const PublishAnswer& answer) {
        const std::shared_lock lock(mutex_);
        if (!is_over_) on_answer_(answer);
    }
    void log(std::string_view line) {
        const std::shared_lock lock(mutex_);
        if (!is_over_) on_log_(line);
    }
    void connected(natsConnection* connection) {
        const std::shared_lock lock(mutex_);
        if (is_over_) return;
        keep_socket(connection);
        on_log_("connected to NATS");
    }
    /// Waits for what is under way.
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
    Impl(const PublisherOptions& wanted, OnAnswer on_answer, OnLog on_log)
        : listener_(std::make_shared<Listener>(std::move(on_answer), std::move(on_log))),
          inbox_prefix_(app_inbox_prefix(wanted.region, wanted.app)) {
        ForkGate::watch();
        natsOptions* made = nullptr;
        require(natsOptions_Create(&made), "nats.c");
        OptionsPtr options(made);
        set_servers(options.get(), wanted);
        set_credentials(options.get(), wanted);
        auto hold = std::make_unique<Listener::Hold>(listener_);
        set_behaviour(options.get(), wanted, hold.get());
        natsConnection* connection = nullptr;
        const natsStatus status = natsConnection_Connect(&connection, options.get());
        connection_.reset(connection);
        if (status != NATS_OK && status != NATS_NOT_YET_CONNECTED) {
            throw SetupError(std::string("cannot set up the NATS connection: ") +
                             natsStatus_GetText(status) + "; check nats_urls and the credentials");
        }
        static_cast<void>(hold.release());  // on_closed() has it
        log_refused_login(login_of(wanted));
        subscribe();
        keep_socket(connection);
    }

    ~Impl() {
        listener_->end();
        ForkGate::forget_socket(connection_.get());
        if (subscription_ != nullptr) natsSubscription_Unsubscribe(subscription_.get());
        if (connection_ != nullptr) natsConnection_Close(connection_.get());
    }

    bool is_connected() const {
        return natsConnection_Status(connection_.get()) == NATS_CONN_STATUS_CONNECTED;
    }

    bool publish(const std::string& subject, const std::string& message_id,
                 std::span<const std::byte> bytes, std::uint64_t token) {
        if (!is_connected()) return false;
        const std::string reply = inbox_ + std::to_string(token);
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
    static void set_behaviour(natsOptions* options, const PublisherOptions& wanted,
                              Listener::Hold* hold) {
        const std::string name = "homeward " + wanted.region + "/" + wanted.app;
        natsStatus s = natsOptions_SetName(options, name.c_str());
        if (s == NATS_OK)
            s = natsOptions_SetRetryOnFailedConnect(options, true, &Impl::on_reconnected, hold);
        if (s == NATS_OK) s = natsOptions_SetMaxReconnect(options, -1);
        if (s == NATS_OK) s = natsOptions_SetReconnectWait(options, kReconnectWaitMs);
        if (s == NATS_OK) {
            s = natsOptions_SetReconnectJitter(options, kReconnectJitterMs, kReconnectJitterMs);
        }
        // The frame log is our reconnect buffer; the library's is cleared even when it fails.
        if (s == NATS_OK) s = natsOptions_SetReconnectBufSize(options, 0);
        if (s == NATS_OK) s = natsOptions_SetPingInterval(options, kPingIntervalMs);
        if (s == NATS_OK) s = natsOptions_SetMaxPingsOut(options, kPingsOutMax);
        if (s == NATS_OK) s = natsOptions_SetTimeout(options, kConnectTimeoutMs);
        if (s == NATS_OK) s = natsOptions_SetWriteDeadline(options, kWriteDeadlineMs);
        if (s == NATS_OK) s = natsOptions_SetDisconnectedCB(options, &Impl::on_disconnected, hold);
        if (s == NATS_OK) s = natsOptions_SetReconnectedCB(options, &Impl::on_reconnected, hold);
        if (s == NATS_OK) s = natsOptions_SetClosedCB(options, &Impl::on_closed, hold);
        // Without one, nats.c prints to the host's standard error.
        if (s == NATS_OK) s = natsOptions_SetErrorHandler(options, &Impl::on_error, hold);
        require(s, "the NATS connection's options");
    }

    /// No reason to give up: the server may come to know us, and is asked again.
    void log_refused_login(const std::string& login) {
        const char* reason = "";
        const natsStatus status = natsConnection_GetLastError(connection_.get(), &reason);
        if (status != NATS_CONNECTION_AUTH_FAILED && status != NATS_NOT_PERMITTED) return;
        listener_->log("NATS does not let us in: " + std::string(reason) + "; check " + login);
    }

    void subscribe() {
        natsInbox* inbox = nullptr;
        require(natsInbox_Create(&inbox), "NATS inbox");
        constexpr std::string_view kLibraryPrefix = "_INBOX.";
        inbox_ = inbox_prefix_ + std::string(inbox).substr(kLibraryPrefix.size()) + ".";
        natsInbox_Destroy(inbox);
        natsSubscription* subscription = nullptr;
        auto hold = std::make_unique<Listener::Hold>(listener_);
        const char* const what = "cannot subscribe to the acknowledgements";
        const natsStatus status =
            natsConnection_Subscribe(&subscription, connection_.get(), (inbox_ + "*").c_str(),
                                     &Impl::on_message, hold.get());
        // A server that answers garbage can make the library give the connection up as early as
        // here, or one line later; the shipper replaces it, as it does later.
        if (status == NATS_CONNECTION_CLOSED) return;
        require(status, what);
        subscription_.reset(subscription);
        const natsStatus set =
            natsSubscription_SetOnCompleteCB(subscription, &Impl::on_complete, hold.get());
        if (set == NATS_INVALID_SUBSCRIPTION || set == NATS_CONNECTION_CLOSED) {
            unreturned_hold_ = std::move(hold);
            return;
        }
        require(set, what);
        static_cast<void>(hold.release());                        // on_complete() has it
        natsSubscription_SetPendingLimits(subscription, -1, -1);  // bounded by our in-flight window
    }

    // The library is C: an exception that left one of these would end the host application.
    static void on_message(natsConnection*, natsSubscription*, natsMsg* message,
                           void* hold) noexcept {
        const MsgPtr owned(message);
        contain(hold, [&] {
            const std::string_view subject(natsMsg_GetSubject(message));
            const std::string_view digits = subject.substr(subject.rfind('.') + 1);
            std::uint64_t token = 0;
            const auto parsed =
                std::from_chars(digits.data(), digits.data() + digits.size(), token);
            if (parsed.ec != std::errc{}) return;
            PublishAnswer answer = parse_answer(message);
            answer.token = token;
            listener(hold).answer(answer);
        });
    }
    static void on_disconnected(natsConnection*, void* hold) noexcept {
        contain(hold,
                [&] { listener(hold).log("connection to NATS lost; events wait in the log"); });
    }
    static void on_reconnected(natsConnection* connection, void* hold) noexcept {
        contain(hold, [&] { listener(hold).connected(connection); });
    }
    static void on_error(natsConnection*, natsSubscription*, natsStatus status,
                         void* hold) noexcept {
        contain(hold,
                [&] { listener(hold).log(std::string("NATS: ") + natsStatus_GetText(status)); });
    }
    template <typename Body>
    static void contain(void* hold, Body&& body) noexcept {
        run_contained(
            "nats.c", "the frame is sent again when its answer is late",
            [&](std::string_view line) { listener(hold).log(line); }, body);
    }
    static void on_closed(natsConnection*, void* hold) { on_complete(hold); }
    static void on_complete(void* hold) { delete static_cast<Listener::Hold*>(hold); }
    static Listener& listener(void* hold) { return **static_cast<Listener::Hold*>(hold); }

    Listener::Hold listener_;
    /// Of a subscription that was over too soon to be told who takes it back.
    std::unique_ptr<Listener::Hold> unreturned_hold_;
    const std::string inbox_prefix_;
    std::string inbox_;
    ConnectionPtr connection_;
    SubscriptionPtr subscription_;
};

NatsLink::NatsLink(const PublisherOptions& options, OnAnswer on_answer, OnLog on_log)
    : impl_(std::make_unique<Impl>(options, std::move(on_answer), std::move(on_log))) {}
NatsLink::~NatsLink() = default;
bool NatsLink::is_connected() const {
    return impl_->is_connected();
}
bool NatsLink::publish(const std::string& subject, const std::string& message_id,
                       std::span<const std::byte> bytes, std::uint64_t token) {
    return impl_->publish(subject, message_id, bytes, token);
}

}  // namespace homeward
