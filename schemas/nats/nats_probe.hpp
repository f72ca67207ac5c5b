#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace homeward {

/// Where a NATS URL leads: "tls://user:password@host:port" in its parts. Without a port 4222.
struct NatsAddress {
    std::string host;
    std::string port = "4222";
    bool wants_tls = false;
};
NatsAddress parse_nats_url(std::string_view url);
/// "host:port", fit for a log: without login.
std::string printable_address(std::string_view url);
/// `url` with its host and port replaced: the address of another server of the same cluster, as a
/// server announces it, with the login of the first. `address` may have a scheme.
std::string with_address(std::string_view url, std::string_view address);

/// What is wrong with what a server says first, for a client that wants TLS or not; empty if it is
/// a NATS server's INFO that agrees. Fit for a log, whatever the bytes.
std::string judge_greeting(std::string_view heard, bool wants_tls);

/// Asks the resolver for the URL's host, and returns how long that took, whatever came of it.
/// nats.c counts it into its timeout: a resolver that is slow, as when the first of its name
/// servers is down, leaves it no time to connect.
std::chrono::milliseconds time_to_resolve(std::string_view url);

/// Why no NATS connection to `url` comes about, found by trying: the name is unknown, the port is
/// closed, nobody answers, what answers is no NATS server, or it disagrees about TLS. Empty when a
/// NATS server greets as expected: then the reason is the login or the TLS handshake. Takes up to
/// twice `patience`, and what the resolver takes. Never throws but for want of memory.
std::string probe_nats(std::string_view url, bool wants_tls, std::chrono::milliseconds patience);

}  // namespace homeward
