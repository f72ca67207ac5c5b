#include "consumer/nats/nats_link.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <shared_mutex>
#include <system_error>
#include <utility>

#include "consumer/base/thread_body.hpp"
#include "consumer/nats/nats_connection.hpp"
#include "schemas/nats/connect_limit.hpp"
#include "schemas/nats/jetstream_reply.hpp"
#include "schemas/nats/nats_probe.hpp"

namespace homeward::consumer {
namespace {

constexpr std::int64_t kPingIntervalMs = 3'000;
constexpr int kPingsOutMax = 2;
/// With the probe below less than a stop may take.
constexpr std::int64_t kConnectTimeoutMs = 3'000;
constexpr std::chrono::milliseconds kConnectLimit{kConnectTimeoutMs};
constexpr std::chrono::milliseconds kProbePatience{500};
constexpr std::int64_t kWriteDeadlineMs = 5'000;
constexpr std::int64_t kFlushMs = 1'000;
/// Of what is read and written at once.
constexpr int kBufferBytes = 256 * 1'024;

using OptionsPtr = std::unique_ptr<natsOptions, NatsDestroyer<natsOptions, natsOptions_Destroy>>;
using ConnectionPtr =
    std::unique_ptr<natsConnection, NatsDestroyer<natsConnection, natsConnection_Destroy>>;

void require(natsStatus status, const std::string& what) {
    if (status == NATS_OK) return;
    throw NatsSetupError(what + ": " + natsStatus_GetText(status));
}

/// The public key in the file of a seed, which nats.c does not derive; a word that begins with U.
std::string public_key_in(const std::string& seed_file) {
    std::ifstream words(seed_file);
    for (std::string word; words >> word;) {
        if (word.front() == 'U') return word;
    }
    throw NatsSetupError(
        "nats.nkey_file " + seed_file +
        ": cannot be read, or has no public key beside the seed; write both into it, "
        "as `nk -gen user -pubout` prints them");
}

bool wants_tls(const Config::Nats& config) {
    return std::any_of(config.urls.begin(), config.urls.end(),
                       [](const std::string& url) { return parse_nats_url(url).wants_tls; });
}

void set_login(natsOptions* options, const Config::Nats& config) {
    if (!config.credentials_file.empty()) {
        require(natsOptions_SetUserCredentialsFromFiles(options, config.credentials_file.c_str(),
                                                        nullptr),
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
}

void set_server(natsOptions* options, const Config::Nats& config, const std::string& url) {
    require(natsOptions_SetURL(options, url.c_str()), "nats.urls: " + redact(url));
    // Or a server in between that says it has no TLS would be believed.
    if (wants_tls(config)) require(natsOptions_SetSecure(options, true), "TLS");
}

/// The server's or the TLS library's own words, which nats.c leaves behind in this thread.
std::string last_words(natsStatus status) {
    natsStatus unused = NATS_OK;
    const char* text = nats_GetLastError(&unused);
    std::string words = text == nullptr ? "" : printable(text);
    // Behind "(conn.c:733): ".
    if (const auto end = words.find("): "); words.rfind('(', 0) == 0 && end != std::string::npos) {
        words.erase(0, end + 3);
    }
    return words.empty() ? natsStatus_GetText(status) : words;
}

std::string advice(natsStatus status, const Config::Nats& config) {
    // In TLS 1.3 a server refuses a client's certificate after the handshake, and just closes.
    if (!config.tls_cert_file.empty() && status != NATS_CONNECTION_AUTH_FAILED) {
        return "is the server running there, and does it trust the certificate in "
               "nats.tls_cert_file " +
               config.tls_cert_file + "? It is read anew at the next attempt";
    }
    switch (status) {
        case NATS_NO_SERVER:
        case NATS_TIMEOUT:
        case NATS_IO_ERROR:
            return "is the server running there, and nats.urls right?";
        case NATS_CONNECTION_AUTH_FAILED:
            return "the server refuses the credentials; check nats.credentials_file, "
                   "nats.nkey_file or the user in nats.urls";
        case NATS_SSL_ERROR:
            return "check nats.tls_ca_file, nats.tls_cert_file and the server's certificate";
        default:
            return "check the [nats] section";
    }
}

ConnectionPtr connect(natsOptions* options, const Config::Nats& config, const std::string& url,
                      bool wants_cause) {
    const std::string failure = "cannot connect to NATS at " + printable_address(url) + ": ";
    // Twice, since nats.c asks the resolver again.
    const std::int64_t resolver_ms = 2 * time_to_resolve(url).count();
    require(natsOptions_SetTimeout(options, kConnectTimeoutMs + resolver_ms), "nats.c");
    natsConnection* connection = nullptr;
    natsStatus status = NATS_OK;
    try {
        const ConnectLimit limit(url, kConnectLimit);
        status = natsConnection_Connect(&connection, options);
        if (status != NATS_OK && limit.is_exceeded()) {
            throw NatsError(failure + std::string(kLoginStalls) +
                            "; has it stopped, or is it overloaded?");
        }
    } catch (const std::system_error& error) {
        throw NatsError(failure + "no thread can be started: " + error.what());
    }
    if (status == NATS_OK) return ConnectionPtr(connection);
    std::string cause = last_words(status);
    const bool is_told = status == NATS_CONNECTION_AUTH_FAILED || status == NATS_SSL_ERROR;
    if (wants_cause && !is_told) {
        const std::string found = probe_nats(url, wants_tls(config), kProbePatience);
        if (!found.empty()) cause = found;
    }
    const std::string text = failure + cause + "; " + advice(status, config);
    if (status == NATS_CONNECTION_AUTH_FAILED) throw NatsSetupError(text);
    throw NatsError(text);
}

}  // namespace

/// Whom nats.c's threads call. They may be at it when the link ends, and still have a call in their
/// queue: what comes too late is not passed on.
class NatsLink::Listener {
  public:
    using Hold = std::shared_ptr<Listener>;

    Listener(std::function<void()> on_closed, OnLog on_log)
        : on_closed_(std::move(on_closed)), on_log_(std::move(on_log)) {}

    void end() {
        const std::unique_lock lock(mutex_);
        is_over_ = true;
    }
    bool is_closed() const { return is_closed_; }

    // The library is C: an exception must not leave one of these.
    static void closed(natsConnection*, void* hold) noexcept {
        const std::unique_ptr<Hold> last(static_cast<Hold*>(hold));
        (*last)->is_closed_ = true;
        (*last)->pass_on([&] { (*last)->on_closed_(); });
    }
    static void error(natsConnection* connection, natsSubscription*, natsStatus status,
                      void* hold) noexcept {
        Listener& self = **static_cast<Hold*>(hold);
        self.pass_on([&] {
            const char* words = nullptr;
            natsConnection_GetLastError(connection, &words);
            const bool has_words = words != nullptr && *words != '\0';
            // With the subject that we may not publish or subscribe to.
            self.on_log_("NATS: " + (has_words ? printable(words) : natsStatus_GetText(status)));
        });
    }

  private:
    void pass_on(const std::function<void()>& call) noexcept {
        run_turn("nats.c", [&] {
            const std::shared_lock lock(mutex_);
            if (!is_over_) call();
        });
    }

    std::shared_mutex mutex_;
    bool is_over_ = false;
    std::atomic<bool> is_closed_{false};
    std::function<void()> on_closed_;
    OnLog on_log_;
};

NatsLink::NatsLink(const Config::Nats& config, const std::string& url, bool wants_cause,
                   std::function<void()> on_closed, OnLog on_log)
    : listener_(std::make_shared<Listener>(std::move(on_closed), std::move(on_log))) {
    natsOptions* made = nullptr;
    require(natsOptions_Create(&made), "nats.c");
    const OptionsPtr options(made);
    set_server(made, config, url);
    set_login(made, config);
    auto hold = std::make_unique<Listener::Hold>(listener_);
    natsStatus s = natsOptions_SetName(made, "homeward-consumer");
    // It would never say why it fails, give up after two refused logins, and go on with
    // certificates that have been replaced.
    if (s == NATS_OK) s = natsOptions_SetAllowReconnect(made, false);
    if (s == NATS_OK) s = natsOptions_SetIOBufSize(made, kBufferBytes);
    if (s == NATS_OK) s = natsOptions_SetPingInterval(made, kPingIntervalMs);
    if (s == NATS_OK) s = natsOptions_SetMaxPingsOut(made, kPingsOutMax);
    if (s == NATS_OK) s = natsOptions_SetWriteDeadline(made, kWriteDeadlineMs);
    if (s == NATS_OK) s = natsOptions_SetClosedCB(made, &Listener::closed, hold.get());
    if (s == NATS_OK) s = natsOptions_SetErrorHandler(made, &Listener::error, hold.get());
    require(s, "the NATS connection's options");
    connection_ = connect(made, config, url, wants_cause);
    static_cast<void>(hold.release());  // closed() has it
}

NatsLink::~NatsLink() {
    if (is_connected()) natsConnection_FlushTimeout(connection_.get(), kFlushMs);
    listener_->end();
    natsConnection_Close(connection_.get());
}

bool NatsLink::is_connected() const {
    return !listener_->is_closed();
}

std::vector<std::string> NatsLink::other_servers() const {
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

}  // namespace homeward::consumer
