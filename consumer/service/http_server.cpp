#include "consumer/service/http_server.hpp"

#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <list>
#include <optional>
#include <stdexcept>
#include <thread>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include "consumer/base/thread_body.hpp"

namespace homeward::consumer {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using namespace std::chrono_literals;
using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

constexpr std::uint32_t kHeaderBytesMax = 8'192;
constexpr auto kRequestTime = 5s;
constexpr auto kProbeTime = 1s;
constexpr const char* kServerName = "homeward-consumer";
constexpr std::size_t kConnectionsMax = 256;
/// Pages that are ordered and not yet made, by one thread.
constexpr std::size_t kOrdersMax = 32;

std::string_view view(beast::string_view text) {
    return {text.data(), text.size()};
}

std::runtime_error bad_listen(const std::string& listen, const std::string& why) {
    return std::runtime_error("cannot listen on " + listen + " for the admin endpoint: " + why +
                              "; set admin.listen to a free host:port, or to \"\" for none");
}

tcp::endpoint endpoint_of(const std::string& listen) {
    const std::size_t colon = listen.rfind(':');
    std::string host = listen.substr(0, colon);
    unsigned port = 0;
    const char* const end = listen.data() + listen.size();
    const auto parsed = colon == std::string::npos
                            ? std::from_chars_result{end, std::errc::invalid_argument}
                            : std::from_chars(listen.data() + colon + 1, end, port);
    if (parsed.ec != std::errc{} || parsed.ptr != end || port == 0 || port > 65'535) {
        throw bad_listen(listen, "expected host:port with a port from 1 to 65535");
    }
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    asio::io_context context;
    boost::system::error_code error;
    const auto found =
        tcp::resolver(context).resolve(host, std::to_string(port), tcp::resolver::passive, error);
    if (error || found.empty()) throw bad_listen(listen, "the host has no address");
    return found.begin()->endpoint();
}

tcp::acceptor acceptor_of(asio::io_context& context, const std::string& listen) {
    const tcp::endpoint endpoint = endpoint_of(listen);
    try {
        tcp::acceptor acceptor(context, endpoint.protocol());
        acceptor.set_option(asio::socket_base::reuse_address(true));
        acceptor.bind(endpoint);
        acceptor.listen();
        return acceptor;
    } catch (const boost::system::system_error& error) {
        const auto reason = bad_listen(listen, error.code().message());
        if (error.code() == asio::error::address_in_use) throw AddressInUse(reason.what());
        throw reason;
    }
}

std::optional<asio::ssl::context> tls_of(const HttpServerOptions& options) {
    if (options.tls_cert_file.empty()) return std::nullopt;
    asio::ssl::context context(asio::ssl::context::tls_server);
    context.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    try {
        context.use_certificate_chain_file(options.tls_cert_file);
        context.use_private_key_file(options.tls_key_file, asio::ssl::context::pem);
    } catch (const boost::system::system_error& error) {
        throw std::runtime_error("admin.tls_cert_file " + options.tls_cert_file +
                                 " and admin.tls_key_file " + options.tls_key_file + ": " +
                                 error.code().message());
    }
    return context;
}

/// "127.0.0.1:8222" → "127.0.0.1", "[::1]:8222" → "::1", in lower case.
std::string host_of(std::string_view header) {
    std::string host(header);
    if (!host.empty() && host.front() == '[') {
        host = host.substr(1, host.find(']') - 1);
    } else if (const std::size_t colon = host.find(':'); colon != std::string::npos) {
        host.resize(colon);
    }
    std::transform(host.begin(), host.end(), host.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return host;
}

std::string machine_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? host_of(name.data()) : "localhost";
}

Response response_of(HttpAnswer answer) {
    Response response{static_cast<http::status>(answer.status), 11};
    response.set(http::field::content_type, answer.content_type);
    response.set(http::field::connection, "close");
    response.set(http::field::server, kServerName);
    for (const auto& [name, value] : answer.headers) response.set(name, value);
    response.body() = std::move(answer.body);
    return response;
}

/// Sets `is_ours` when it is. Precondition: `listen` is an address.
asio::awaitable<void> probe(std::string listen, bool& is_ours) {
    tcp::endpoint endpoint = endpoint_of(listen);
    if (endpoint.address().is_unspecified()) endpoint.address(asio::ip::address_v4::loopback());
    beast::tcp_stream stream(co_await asio::this_coro::executor);
    co_await stream.async_connect(endpoint, asio::use_awaitable);
    Request request{http::verb::get, "/livez", 11};
    request.set(http::field::host, endpoint.address().to_string());
    co_await http::async_write(stream, request, asio::use_awaitable);
    beast::flat_buffer buffer;
    Response response;
    co_await http::async_read(stream, buffer, response, asio::use_awaitable);
    is_ours = view(response[http::field::server]) == kServerName;
}

HttpAnswer run_route(const HttpRoute& route, const std::string& query) {
    try {
        return route.answer(query);
    } catch (const std::exception&) {
        return {500, "this page cannot be made now; see the log\n"};
    }
}

}  // namespace

class HttpServer::Impl {
  public:
    Impl(HttpServerOptions options, std::map<std::string, HttpRoute> routes)
        : options_(std::move(options)),
          routes_(std::move(routes)),
          tls_(tls_of(options_)),
          acceptor_(acceptor_of(context_, options_.listen)) {
        for (std::string& host : options_.hosts) host = host_of(host);
        options_.hosts.insert(options_.hosts.end(), {"localhost", machine_name()});
        asio::co_spawn(context_, accept(), asio::detached);
        network_ = start_thread("admin", [this] { context_.run(); });
        pages_ = start_thread("admin pages", [this] { page_context_.run(); });
    }
    ~Impl() {
        context_.stop();
        page_context_.stop();
        network_.join();
        pages_.join();
    }

  private:
    asio::awaitable<void> accept() {
        for (;;) {
            boost::system::error_code error;
            tcp::socket socket =
                co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
            if (error) {  // no descriptors are left: let some go
                close_oldest();
                asio::steady_timer rest(context_, 100ms);
                co_await rest.async_wait(asio::use_awaitable);
                continue;
            }
            if (open_.size() >= kConnectionsMax) close_oldest();
            asio::co_spawn(context_, serve(std::move(socket)), asio::detached);
        }
    }

    /// Its descriptor, too: whoever waits for a page has no operation to cancel.
    void close_oldest() {
        if (open_.empty()) return;
        open_.front()->close();
        open_.pop_front();
    }

    /// One connection, from accepting to closing; whatever breaks ends it and nothing else.
    asio::awaitable<void> serve(tcp::socket socket) {
        auto stream = std::make_shared<beast::tcp_stream>(std::move(socket));
        stream->expires_after(kRequestTime);
        open_.push_back(stream);
        try {
            if (tls_) {
                beast::ssl_stream<beast::tcp_stream&> secure(*stream, *tls_);
                co_await secure.async_handshake(asio::ssl::stream_base::server,
                                                asio::use_awaitable);
                co_await answer_one(secure);
            } else {
                co_await answer_one(*stream);
            }
            boost::system::error_code ignored;
            stream->socket().shutdown(tcp::socket::shutdown_send, ignored);
        } catch (const std::exception&) {
            // The other side is slow, gone, or speaks no HTTP: not our fault, and nobody to tell.
        }
        open_.remove(stream);
    }

    template <typename Stream>
    asio::awaitable<void> answer_one(Stream& stream) {
        beast::flat_buffer buffer(kHeaderBytesMax + 1'024);
        http::request_parser<http::empty_body> parser;
        parser.header_limit(kHeaderBytesMax);
        boost::system::error_code error;
        co_await http::async_read_header(stream, buffer, parser,
                                         asio::redirect_error(asio::use_awaitable, error));
        const bool is_too_large =
            error == http::error::header_limit || error == http::error::buffer_overflow;
        if (error && !is_too_large) co_return;
        std::shared_ptr<HttpAnswer> answer =
            is_too_large ? too_large() : answer_at_once(parser.get());
        if (!answer) {
            const std::shared_ptr<Order> order = order_page(parser.get());
            co_await order->made.async_wait(asio::redirect_error(asio::use_awaitable, error));
            if (!error) co_return;  // too late: the connection's time is over
            answer = std::shared_ptr<HttpAnswer>(order, &order->answer);
        }
        const bool is_head = !is_too_large && parser.get().method() == http::verb::head;
        Response response = response_of(std::move(*answer));
        response.prepare_payload();
        http::response_serializer<http::string_body> serializer(response);
        if (is_head) {
            co_await http::async_write_header(stream, serializer, asio::use_awaitable);
        } else {
            co_await http::async_write(stream, serializer, asio::use_awaitable);
        }
    }

    // Answers are made in plain functions: GCC 12 destroys temporaries of coroutines twice.
    static std::shared_ptr<HttpAnswer> too_large() {
        return std::make_shared<HttpAnswer>(HttpAnswer{431, "more than 8 KiB of headers\n"});
    }

    static std::string query_of(const Request& request) {
        const std::string_view target = view(request.target());
        const std::size_t mark = target.find('?');
        return std::string(mark == target.npos ? "" : target.substr(mark + 1));
    }
    const HttpRoute* route_of(const Request& request) const {
        const std::string_view target = view(request.target());
        const auto route = routes_.find(std::string(target.substr(0, target.find('?'))));
        return route == routes_.end() ? nullptr : &route->second;
    }

    /// Health and refusals; null for a page, which takes its time.
    std::shared_ptr<HttpAnswer> answer_at_once(const Request& request) const {
        const auto is = [](HttpAnswer answer) {
            return std::make_shared<HttpAnswer>(std::move(answer));
        };
        if (request.method() != http::verb::get && request.method() != http::verb::head) {
            return is({405, "only GET and HEAD\n", "text/plain", {{"Allow", "GET, HEAD"}}});
        }
        const HttpRoute* route = route_of(request);
        if (route == nullptr) return is({404, "no such page\n"});
        if (route->is_health) return is(run_route(*route, query_of(request)));
        if (!is_known_host(request)) return is({421, "this name is not in admin.hosts\n"});
        if (!is_authorized(request)) {
            return is({401,
                       "a bearer token is needed: admin.token\n",
                       "text/plain",
                       {{"WWW-Authenticate", "Bearer"}}});
        }
        if (orders_ >= kOrdersMax) {
            return is({503,
                       "too many pages are being made; try again\n",
                       "text/plain",
                       {{"Retry-After", "1"}}});
        }
        return nullptr;
    }

    /// A page that one connection waits for. Of the network's thread.
    struct Order {
        explicit Order(asio::io_context& context) : made(context, kRequestTime) {}
        HttpAnswer answer{};
        asio::steady_timer made;  ///< cancelled when the answer is there
    };

    /// The other thread makes the page, also for a connection that has ended meanwhile.
    std::shared_ptr<Order> order_page(const Request& request) {
        auto order = std::make_shared<Order>(context_);
        ++orders_;
        asio::post(page_context_,
                   [this, route = route_of(request), query = query_of(request), order]() mutable {
                       HttpAnswer answer = run_route(*route, query);
                       asio::post(context_, [this, order = std::move(order),
                                             answer = std::move(answer)]() mutable {
                           --orders_;
                           order->answer = std::move(answer);
                           order->made.cancel();
                       });
                   });
        return order;
    }

    bool is_known_host(const Request& request) const {
        const std::string host = host_of(view(request[http::field::host]));
        boost::system::error_code error;
        asio::ip::make_address(host, error);
        if (!error) return true;  // an address, which no foreign name can stand for
        return std::find(options_.hosts.begin(), options_.hosts.end(), host) !=
               options_.hosts.end();
    }

    bool is_authorized(const Request& request) const {
        if (options_.bearer_token.empty()) return true;
        const std::string wanted = "Bearer " + options_.bearer_token;
        const std::string_view given = view(request[http::field::authorization]);
        return given.size() == wanted.size() &&
               CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
    }

    HttpServerOptions options_;
    const std::map<std::string, HttpRoute> routes_;
    std::optional<asio::ssl::context> tls_;
    asio::io_context context_{1};
    asio::io_context page_context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> pages_stay_{
        page_context_.get_executor()};
    tcp::acceptor acceptor_;
    // Of the network's thread.
    std::list<std::shared_ptr<beast::tcp_stream>> open_;  // oldest first
    std::size_t orders_ = 0;                              // that are not made
    std::thread network_, pages_;
};

void check_listen_address(const std::string& listen) {
    asio::io_context context;
    acceptor_of(context, listen);
}

bool is_consumer_at(const std::string& listen) {
    asio::io_context context;
    bool is_ours = false;
    // Whatever goes wrong: it is not ours.
    asio::co_spawn(context, probe(listen, is_ours), [](const std::exception_ptr&) {});
    context.run_for(kProbeTime);
    return is_ours;
}

HttpServer::HttpServer(HttpServerOptions options, std::map<std::string, HttpRoute> routes)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(routes))) {}
HttpServer::~HttpServer() = default;

}  // namespace homeward::consumer
