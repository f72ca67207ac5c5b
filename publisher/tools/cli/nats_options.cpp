#include "publisher/tools/cli/nats_options.hpp"

#include <cctype>
#include <cstdlib>
#include <fstream>

#include "schemas/cli/options.hpp"

namespace homeward {
namespace {

/// One URL per line, or several between commas. An unreadable file has none, which is refused.
std::vector<std::string> urls_in(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::string> urls;
    for (std::string line; std::getline(file, line);) {
        while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) {
            line.pop_back();
        }
        for (std::string& url : cli::split(line)) urls.push_back(std::move(url));
    }
    return urls;
}

}  // namespace

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

void add_nats_options(CLI::App& app, PublisherOptions& options) {
    const std::string group = app.option_defaults()->get_group();
    app.option_defaults()->group("NATS");
    // By hand: the command line's --server must win over a file that the environment names.
    const std::string urls = from_environment("HOMEWARD_NATS_URL");
    if (!urls.empty()) options.nats_urls = cli::split(urls);
    const std::string url_file = from_environment("HOMEWARD_NATS_URL_FILE");
    if (!url_file.empty()) options.nats_urls = urls_in(url_file);
    const auto take_urls = [&options](const std::string& text) {
        options.nats_urls = cli::split(text);
    };
    const auto read_urls = [&options](const std::string& path) {
        options.nats_urls = urls_in(path);
    };
    app.add_option_function<std::string>("-s,--server", take_urls,
                                         "NATS servers, separated by commas (default: "
                                         "nats://127.0.0.1:4222) (environment: HOMEWARD_NATS_URL)")
        ->type_name("URL")
        ->trigger_on_parse();
    app.add_option_function<std::string>(
           "--server-file", read_urls,
           "read the servers from a file: a password in --server shows in the list of processes "
           "until the program has started (environment: HOMEWARD_NATS_URL_FILE)")
        ->type_name("FILE")
        ->trigger_on_parse();
    const auto add_file = [&app](const char* name, std::filesystem::path& target,
                                 const char* variable, const char* description) {
        cli::add_text(app, name, "FILE", target, description)->envname(variable);
    };
    add_file("--creds", options.credentials_file, "HOMEWARD_NATS_CREDENTIALS_FILE",
             "NATS credentials");
    add_file("--nkey", options.nkey_seed_file, "HOMEWARD_NATS_NKEY_FILE",
             "seed and public key of a NATS user, as nk -gen user -pubout prints them");
    add_file("--tls-ca", options.tls_ca_file, "HOMEWARD_NATS_TLS_CA_FILE",
             "certificates to trust with a tls:// server");
    add_file("--tls-cert", options.tls_cert_file, "HOMEWARD_NATS_TLS_CERT_FILE",
             "client certificate, for a server that requires one");
    add_file("--tls-key", options.tls_key_file, "HOMEWARD_NATS_TLS_KEY_FILE",
             "key of the client certificate");
    cli::add_text(app, "--inbox-prefix", "SUBJECT", options.inbox_prefix,
                  "receive acks on a random subject below this one, which the login may subscribe "
                  "to (default: _INBOX.homeward.REGION.APP)");
    app.option_defaults()->group(group);
}

}  // namespace homeward
