#pragma once

// The options of a connection by nats.c: servers, credentials, TLS; and what to look at when a
// server refuses them.

#include <nats/nats.h>

#include <string>

#include <homeward/publisher.hpp>

namespace homeward {

/// Throws SetupError unless the status is NATS_OK.
void require(natsStatus status, const std::string& what);
/// Throws SetupError for a file that cannot be used.
void set_credentials(natsOptions* options, const PublisherOptions& wanted);
/// Throws SetupError for a URL that cannot be used.
void set_server(natsOptions* options, const PublisherOptions& wanted, const std::string& url);
/// How we want any connection: its name, when a peer counts as dead, and that it never reconnects
/// by itself. Throws SetupError.
void set_behaviour(natsOptions* options, const PublisherOptions& wanted);
/// Whether any of the servers' URLs asks for TLS.
bool wants_tls(const PublisherOptions& wanted);

/// The server's or the TLS library's own words, which nats.c leaves behind in this thread.
std::string last_words(natsStatus status);
/// What to look at when a server refuses the login or the handshake: "; check …", or "".
std::string advice(natsStatus status, const PublisherOptions& wanted);

}  // namespace homeward
