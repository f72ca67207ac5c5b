#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include <homeward/publisher.hpp>

namespace homeward {

/// How homeward-emit and homeward-spool reach NATS: --server, --server-file, --creds, --nkey,
/// --tls-ca, --tls-cert, --tls-key and --inbox-prefix. They fill `options`, which must outlive
/// `app` and first gets what the environment variables of the first two say.
void add_nats_options(CLI::App& app, PublisherOptions& options);

/// "" if there is none.
std::string from_environment(const char* name);

}  // namespace homeward
