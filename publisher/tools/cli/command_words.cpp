#include "publisher/tools/cli/command_words.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace homeward {

const char* const kNatsHelp =
    R"(  --server URL[,URL]  NATS; default nats://127.0.0.1:4222 (or environment HOMEWARD_NATS_URL)
  --server-file FILE  the same, read from a file (or HOMEWARD_NATS_URL_FILE): for a URL with a
                      password, which a list of processes would show for a moment
  --creds FILE        NATS credentials (or HOMEWARD_NATS_CREDENTIALS_FILE)
  --nkey FILE         seed and public key of a NATS user, as nk -gen user -pubout prints them
                      (or HOMEWARD_NATS_NKEY_FILE)
  --tls-ca FILE       whom to trust with a tls:// server (or HOMEWARD_NATS_TLS_CA_FILE)
  --tls-cert FILE, --tls-key FILE
                      our own certificate, for a server that asks for one
                      (or HOMEWARD_NATS_TLS_CERT_FILE, HOMEWARD_NATS_TLS_KEY_FILE)
  --inbox-prefix SUBJECT  acknowledgements come to a random subject below this, where the login may
                      subscribe; default _INBOX.homeward.REGION.APP
)";

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');) {
        if (!part.empty()) parts.push_back(part);
    }
    return parts;
}

std::optional<std::chrono::seconds> parse_seconds(const std::string& text) {
    char* end = nullptr;
    const long seconds = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || seconds < 0 || seconds > 86'400) return std::nullopt;
    return std::chrono::seconds(seconds);
}

std::optional<std::size_t> parse_mib(const std::string& text, unsigned long least,
                                     unsigned long most) {
    char* end = nullptr;
    const unsigned long mib = std::strtoul(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || text[0] == '-' || mib < least || mib > most) {
        return std::nullopt;
    }
    return std::size_t{mib} << 20;
}

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

namespace {

/// One URL a line, or several between commas. What cannot be read leaves none, which is refused.
std::vector<std::string> urls_in(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::string> urls;
    for (std::string line; std::getline(file, line);) {
        while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) {
            line.pop_back();
        }
        for (std::string& url : split(line)) urls.push_back(std::move(url));
    }
    return urls;
}

}  // namespace

void hide_password(char* argument) {
    for (char* at = std::strstr(argument, "://"); at != nullptr; at = std::strstr(at, "://")) {
        at += 3;
        const std::size_t length = std::strcspn(at, ",/?#");
        char* end = at;
        for (char* c = at; c < at + length; ++c) {
            if (*c == '@') end = c;
        }
        std::fill(at, end, 'x');
        at += length;
    }
}

CommandOptions nats_options(PublisherOptions& options) {
    const std::string urls = from_environment("HOMEWARD_NATS_URL");
    if (!urls.empty()) options.nats_urls = split(urls);
    const std::string url_file = from_environment("HOMEWARD_NATS_URL_FILE");
    if (!url_file.empty()) options.nats_urls = urls_in(url_file);
    options.credentials_file = from_environment("HOMEWARD_NATS_CREDENTIALS_FILE");
    options.nkey_seed_file = from_environment("HOMEWARD_NATS_NKEY_FILE");
    options.tls_ca_file = from_environment("HOMEWARD_NATS_TLS_CA_FILE");
    options.tls_cert_file = from_environment("HOMEWARD_NATS_TLS_CERT_FILE");
    options.tls_key_file = from_environment("HOMEWARD_NATS_TLS_KEY_FILE");
    return {
        {"--server", [&](const auto& v) { options.nats_urls = split(v); }},
        {"--server-file", [&](const auto& v) { options.nats_urls = urls_in(v); }},
        {"--creds", [&](const auto& v) { options.credentials_file = v; }},
        {"--nkey", [&](const auto& v) { options.nkey_seed_file = v; }},
        {"--tls-ca", [&](const auto& v) { options.tls_ca_file = v; }},
        {"--tls-cert", [&](const auto& v) { options.tls_cert_file = v; }},
        {"--tls-key", [&](const auto& v) { options.tls_key_file = v; }},
        {"--inbox-prefix", [&](const auto& v) { options.inbox_prefix = v; }},
    };
}

}  // namespace homeward
