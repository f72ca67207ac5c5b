#pragma once

// The options of a connection by nats.c: servers, credentials, TLS; how it is made; and error texts
// for one that fails.

#include <nats/nats.h>

#include <string>
#include <string_view>

#include <homeward/publisher.hpp>

#include "publisher/send/nats_handle.hpp"

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

/// A connection to `url`, with options that have all of the above. Takes up to 3.5 s, also when the
/// server stalls in the login, for each server of its cluster that is tried; and twice what the
/// resolver takes. `wants_cause`: if it fails, and nats.c does not know why, probe the server for
/// up to 1 s. Throws ConnectError.
ConnectionPtr connect(natsOptions* options, const PublisherOptions& wanted, const std::string& url,
                      bool wants_cause);

/// The text of the connection's last error; empty if it has none. Valid until its next error.
std::string_view last_error(natsConnection* connection);
/// A log line for an error that nats.c's error handler reports. `text`: last_error().
std::string error_line(std::string_view text, natsStatus status);

}  // namespace homeward
