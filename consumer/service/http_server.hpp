#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace homeward::consumer {

struct HttpAnswer {
    unsigned status = 200;
    std::string body;
    std::string content_type = "text/plain; charset=utf-8";
    std::vector<std::pair<std::string, std::string>> headers{};
};

/// What one path answers. It may throw: that is a 500 without its reason.
struct HttpRoute {
    /// `query`: what follows the '?'; not decoded.
    std::function<HttpAnswer(std::string_view query)> answer;
    /// Answered at once, never behind other paths, and to everybody. It must not wait.
    bool is_health = false;
};

struct HttpServerOptions {
    std::string listen;  ///< "host:port" or "[IPv6]:port"
    /// Besides localhost, this machine's name and any IP address. A web page of a stranger can make
    /// a browser ask here under a name of its own (DNS rebinding).
    std::vector<std::string> hosts;
    std::string bearer_token;   ///< empty: none is asked for
    std::string tls_cert_file;  ///< PEM, with the chain; empty: no TLS
    std::string tls_key_file;
};

/// Somebody listens there already.
class AddressInUse : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// "host:port" or "[IPv6]:port"; throws std::runtime_error that says what is wrong with it, or
/// AddressInUse. Binds for a moment.
void check_listen_address(const std::string& listen);

/// Whether what listens there, without TLS, is the admin endpoint of a consumer. Within a second.
bool is_consumer_at(const std::string& listen);

/// Answers GET and HEAD, one request a connection, over HTTP/1.1; all of Boost.Beast. Bounds: 8 KiB
/// of request line and headers, no body, no ranges, 5 s from accepting until the answer is taken,
/// 256 connections, of which the oldest is closed for a new one, and 32 that wait for the thread
/// that makes what is no health; further ones get 503. Two threads of its own: that, and one for
/// the network and health. Any thread.
class HttpServer {
  public:
    /// Throws std::runtime_error when the address cannot be had or a TLS file cannot be used.
    HttpServer(HttpServerOptions options, std::map<std::string, HttpRoute> routes);
    /// Ends connections at once.
    ~HttpServer();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::consumer
