#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <homeward/publisher.hpp>

namespace homeward {

/// What the command lines of homeward-emit and homeward-spool have in common.

/// An option's name, and what to do with its value.
using CommandOptions = std::map<std::string, std::function<void(const std::string& value)>>;

/// How NATS is reached: --server, --server-file, --creds, --nkey, --tls-ca, --tls-cert, --tls-key,
/// --inbox-prefix. They write to `options`, which must outlive them and first gets what
/// HOMEWARD_NATS_URL, _NKEY_FILE, _CREDS_FILE and _TLS_{CA,CERT,KEY}_FILE say.
CommandOptions nats_options(PublisherOptions& options);
/// Their part of --help.
extern const char* const kNatsHelp;

/// Overwrites in place the user, password or token of every URL in an argument, so that the list of
/// processes does not show them. Until then, for some milliseconds, it does: a file does not.
void hide_password(char* argument);

/// The parts between commas; empty ones are left out.
std::vector<std::string> split(const std::string& text);
/// A number of seconds, 0 to a day.
std::optional<std::chrono::seconds> parse_seconds(const std::string& text);
/// A number of MiB between two, as bytes.
std::optional<std::size_t> parse_mib(const std::string& text, unsigned long least,
                                     unsigned long most);
/// "" if there is none.
std::string from_environment(const char* name);

}  // namespace homeward
