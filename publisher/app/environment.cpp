#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <homeward/app.hpp>

#include "publisher/api/checked_options.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward {
namespace {

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::string region() {
    const std::string own = from_environment("HOMEWARD_REGION");
    std::string region = own.empty() ? from_environment("FLY_REGION") : own;
    if (region.empty()) {
        throw SetupError(
            "neither HOMEWARD_REGION nor FLY_REGION is set: set FLY_REGION to the region that this "
            "process runs in, as \"ams\"");
    }
    if (!is_valid_name(region)) {
        throw SetupError(std::string(own.empty() ? "FLY_REGION" : "HOMEWARD_REGION") + " is \"" +
                         region + "\": set it to 1 to 32 of a-z, 0-9, _ and -, as \"ams\"");
    }
    return region;
}

/// nats.c takes an address without a scheme too. The text may hold a password.
bool is_nats_url(const std::string& url) {
    const std::size_t scheme = url.find("://");
    if (url.empty() || url.find_first_of(" \t\r\n") != url.npos) return false;
    return scheme == url.npos || url.starts_with("nats://") || url.starts_with("tls://");
}

std::vector<std::string> nats_urls() {
    constexpr const char* kHowTo =
        "set it to this region's NATS server, as \"nats://127.0.0.1:4222\"; several with commas "
        "between them";
    const std::string text = from_environment("HOMEWARD_NATS_URL");
    if (text.empty()) throw SetupError(std::string("HOMEWARD_NATS_URL is not set: ") + kHowTo);
    std::vector<std::string> urls;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        urls.push_back(text.substr(at, end - at));
        at = end + 1;
        if (is_nats_url(urls.back())) continue;
        throw SetupError("HOMEWARD_NATS_URL: address " + std::to_string(urls.size()) +
                         " is neither nats:// nor tls://: " + kHowTo);
    }
    return urls;
}

std::filesystem::path readable_file(const char* variable) {
    std::filesystem::path file = from_environment(variable);
    if (file.empty() || ::access(file.c_str(), R_OK) == 0) return file;
    throw SetupError(std::string(variable) + " is " + file.string() +
                     ", which cannot be read: " + std::strerror(errno));
}

/// The publisher makes what of it is not there yet, with its own mode.
std::filesystem::path directory(const char* variable) {
    const std::string text = from_environment(variable);
    if (text.empty()) return {};
    const std::filesystem::path path = std::filesystem::absolute(text);
    std::filesystem::path made = path;
    while (::access(made.c_str(), F_OK) != 0 && errno == ENOENT) made = made.parent_path();
    std::error_code error;
    if (!std::filesystem::is_directory(made, error)) {
        error = std::make_error_code(std::errc::not_a_directory);
    } else if (::access(made.c_str(), W_OK | X_OK) != 0) {
        error.assign(errno, std::generic_category());
    }
    if (!error) return path;
    throw SetupError(std::string(variable) + " is " + text +
                     ", which cannot be used: " + made.string() + ": " + error.message() +
                     ". Set it to a directory that this process may write to");
}

std::string inbox_prefix() {
    std::string prefix = from_environment("HOMEWARD_NATS_INBOX_PREFIX");
    if (is_inbox_prefix(prefix)) return prefix;
    throw SetupError("HOMEWARD_NATS_INBOX_PREFIX is \"" + prefix + "\"; it must be " +
                     kInboxPrefixRule);
}

}  // namespace

PublisherOptions publisher_options_from_environment(std::string_view app) {
    PublisherOptions options;
    options.nats_urls = nats_urls();
    options.region = region();
    options.app = app;
    options.spool_dir = directory("HOMEWARD_SPOOL_DIR");
    options.lane_dir = directory("HOMEWARD_LANE_DIR");
    options.inbox_prefix = inbox_prefix();
    options.credentials_file = readable_file("HOMEWARD_NATS_CREDENTIALS_FILE");
    options.nkey_seed_file = readable_file("HOMEWARD_NATS_NKEY_FILE");
    options.tls_ca_file = readable_file("HOMEWARD_NATS_TLS_CA_FILE");
    options.tls_cert_file = readable_file("HOMEWARD_NATS_TLS_CERT_FILE");
    options.tls_key_file = readable_file("HOMEWARD_NATS_TLS_KEY_FILE");
    return options;
}

}  // namespace homeward
