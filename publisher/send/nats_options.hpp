#pragma once

// The options of a connection by nats.c: servers, credentials, TLS; and error texts for a
// connection that fails.

#include <nats/nats.h>

#include <string>
#include <string_view>

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

/// Throws ConnectError for a natsConnection_Connect() that has just failed in this thread.
/// `wants_cause`: probe the server for the cause if nats.c knows none, for up to 1 s.
[[noreturn]] void throw_connect_error(natsStatus status, const PublisherOptions& wanted,
                                      const std::string& url, bool wants_cause);

/// The text of the connection's last error; empty if it has none. Valid until its next error.
std::string_view last_error(natsConnection* connection);
/// A log line for an error that nats.c's error handler reports. `text`: last_error().
std::string error_line(std::string_view text, natsStatus status);

}  // namespace homeward
