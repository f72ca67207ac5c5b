#include "publisher/send/nats_options.hpp"

#include <algorithm>
#include <fstream>
#include <system_error>

#include "publisher/platform/standard_descriptors.hpp"
#include "publisher/send/nats_link.hpp"
#include "schemas/nats/connect_limit.hpp"
#include "schemas/nats/jetstream_reply.hpp"
#include "schemas/nats/nats_probe.hpp"

namespace homeward {
namespace {

// A dead peer is noticed after at most interval × (pings + 1) = 9 s.
constexpr std::int64_t kPingIntervalMs = 3'000;
constexpr int kPingsOutMax = 2;
constexpr std::int64_t kConnectTimeoutMs = 3'000;
constexpr std::chrono::milliseconds kConnectLimit{kConnectTimeoutMs};
constexpr std::int64_t kWriteDeadlineMs = 1'000;
constexpr std::chrono::milliseconds kProbePatience{500};

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

/// What a person should look at when authentication failed.
std::string login_of(const PublisherOptions& wanted) {
    if (!wanted.credentials_file.empty()) return wanted.credentials_file.string();
    if (!wanted.nkey_seed_file.empty()) return wanted.nkey_seed_file.string();
    return "user and password in nats_urls";
}

/// The error text of the server or the TLS library, which nats.c keeps for this thread.
std::string connect_error_text(natsStatus status) {
    natsStatus unused = NATS_OK;
    const char* text = nats_GetLastError(&unused);
    std::string words = text == nullptr ? "" : printable(text);
    // Behind "(conn.c:733): ".
    if (const auto end = words.find("): "); words.rfind('(', 0) == 0 && end != std::string::npos) {
        words.erase(0, end + 3);
    }
    return words.empty() ? natsStatus_GetText(status) : words;
}

/// What to check when a server refuses the login or the handshake: "; check …", or "".
std::string advice(natsStatus status, const PublisherOptions& wanted) {
    switch (status) {
        case NATS_CONNECTION_AUTH_FAILED:
        case NATS_NOT_PERMITTED:
            return "; check " + login_of(wanted);
        case NATS_SSL_ERROR:
            return "; check " +
                   (wanted.tls_ca_file.empty() ? "the system's CA certificates"
                                               : wanted.tls_ca_file.string()) +
                   (wanted.tls_cert_file.empty() ? "" : " and " + wanted.tls_cert_file.string());
        default:
            return "";
    }
}

[[noreturn]] void throw_connect_error(std::string_view cause, const std::string& url) {
    throw ConnectError("no connection to NATS at " + printable_address(url) + ": " +
                       std::string(cause));
}

}  // namespace

void require(natsStatus status, const std::string& what) {
    if (status == NATS_OK) return;
    throw SetupError(what + ": " + natsStatus_GetText(status));
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

bool wants_tls(const PublisherOptions& wanted) {
    return std::any_of(wanted.nats_urls.begin(), wanted.nats_urls.end(),
                       [](const std::string& url) { return parse_nats_url(url).wants_tls; });
}

void set_server(natsOptions* options, const PublisherOptions& wanted, const std::string& url) {
    require(natsOptions_SetURL(options, url.c_str()),
            "nats_urls: " + printable_address(url) + " is not usable as a NATS server");
    // Or a server in between that says it has no TLS would be believed.
    if (wants_tls(wanted)) require(natsOptions_SetSecure(options, true), "TLS");
}

void set_behaviour(natsOptions* options, const PublisherOptions& wanted) {
    const std::string name = "homeward " + wanted.region + "/" + wanted.app;
    natsStatus s = natsOptions_SetName(options, name.c_str());
    // It would never say why it fails, give up after two refused logins, and go on with
    // certificates that have been replaced.
    if (s == NATS_OK) s = natsOptions_SetAllowReconnect(options, false);
    if (s == NATS_OK) s = natsOptions_SetPingInterval(options, kPingIntervalMs);
    if (s == NATS_OK) s = natsOptions_SetMaxPingsOut(options, kPingsOutMax);
    if (s == NATS_OK) s = natsOptions_SetWriteDeadline(options, kWriteDeadlineMs);
    require(s, "the NATS connection's options");
}

ConnectionPtr connect(natsOptions* options, const PublisherOptions& wanted, const std::string& url,
                      bool wants_cause) {
    occupy_standard_descriptors();  // or its socket might be one of them
    // Twice, since nats.c asks the resolver again.
    const std::int64_t resolver_ms = 2 * time_to_resolve(url).count();
    require(natsOptions_SetTimeout(options, kConnectTimeoutMs + resolver_ms), "nats.c");
    natsConnection* connection = nullptr;
    natsStatus status = NATS_OK;
    try {
        const ConnectLimit limit(url, kConnectLimit);
        status = natsConnection_Connect(&connection, options);
        if (status != NATS_OK && limit.is_exceeded()) throw_connect_error(kLoginStalls, url);
    } catch (const std::system_error& error) {
        throw_connect_error(std::string("no thread can be started: ") + error.what(), url);
    }
    if (status == NATS_OK) return ConnectionPtr(connection);
    std::string cause = connect_error_text(status);
    const std::string what = advice(status, wanted);
    if (what.empty() && wants_cause) {
        const std::string found = probe_nats(url, wants_tls(wanted), kProbePatience);
        if (!found.empty()) cause = found;
    }
    throw_connect_error(cause + what, url);
}

std::string_view last_error(natsConnection* connection) {
    const char* text = nullptr;
    natsConnection_GetLastError(connection, &text);
    return text == nullptr ? std::string_view() : text;
}

std::string error_line(std::string_view text, natsStatus status) {
    return "NATS: " + (text.empty() ? natsStatus_GetText(status) : printable(text)) +
           (status == NATS_NOT_PERMITTED ? "; the login lacks that permission" : "");
}

}  // namespace homeward
