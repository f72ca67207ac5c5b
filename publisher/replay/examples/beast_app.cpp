// The replay helper in a Boost.Beast app: coroutines for the connections, a few threads for the
// database. Environment: PORT, PRIMARY_REGION, FLY_REGION, DATABASE_URL, DATABASE_REPLICA_URL,
// HOMEWARD_REPLAY_KEYS, and REPLAY_ACCEL_PREFIX behind nginx.

#include <homeward/replay/beast.hpp>
#include <homeward/replay/connection_url.hpp>
#include <homeward/replay/libpq.hpp>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "publisher/replay/examples/orders.hpp"

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using namespace homeward::replay;
using Request = BeastReplay::Request;
using Response = BeastReplay::Response;

constexpr std::uint64_t kBodyBytesMax = 8u << 20;
constexpr std::chrono::seconds kIdleMax{30};
constexpr std::chrono::seconds kLingerMax{2};
constexpr int kThreads = 16;

std::string env(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

void say(const Decision&, std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

Response text(http::status status, std::string body) {
    Response response(status, 11);
    response.set(http::field::content_type, "text/plain");
    response.body() = std::move(body);
    return response;
}

class Shop {
  public:
    Shop(const Gate& gate, const ReadGate& reads, const Orders& orders)
        : gate_(gate), reads_(reads), replay_(gate), orders_(orders) {}

    net::awaitable<void> talk(net::ip::tcp::socket socket) const;

  private:
    Response answer(const Request& request) const;
    Response route(const Request& request, Visit& visit) const;
    Response add_order(const Request& request, Visit& visit) const;

    const Gate& gate_;
    const ReadGate& reads_;
    BeastReplay replay_;
    const Orders& orders_;
};

Response Shop::add_order(const Request& request, Visit& visit) const {
    const auto id = orders_.add(request.body());
    // Without an order, a conflict of the app's own, and no replay.
    Response response =
        id ? text(http::status::created, *id) : text(http::status::conflict, "ordered already");
    response.set(http::field::set_cookie, "served_by=" + gate_.regions().current);
    visit.has_committed = id.has_value();
    if (id) remember(reads_, orders_.seen(), visit);
    return response;
}

Response Shop::route(const Request& request, Visit& visit) const {
    const std::string target(request.target());
    if (target == "/orders" && request.method() == http::verb::post) {
        return add_order(request, visit);
    }
    if (target.rfind("/orders/", 0) == 0 && request.method() == http::verb::get) {
        const std::string id = target.substr(8);
        const bool is_number = !id.empty() && id.find_first_not_of("0123456789") == id.npos;
        const auto item = is_number ? orders_.find(id) : std::nullopt;
        return item ? text(http::status::ok, *item)
                    : text(http::status::not_found, "no such order");
    }
    if (target == "/metrics") return text(http::status::ok, gate_.counters().prometheus());
    return text(http::status::not_found, "nothing here");
}

/// What the handler throws and the gate lets through is the app's to answer.
Response Shop::answer(const Request& request) const {
    try {
        return replay_.serve(
            request, [this](const Request& asked, Visit& visit) { return route(asked, visit); });
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        Response response = text(http::status::internal_server_error, "an error of ours");
        response.prepare_payload();
        return response;
    }
}

/// Lets the client read our last words: closing with its data unread would reset the connection.
net::awaitable<void> linger(beast::tcp_stream& stream) {
    stream.expires_after(kLingerMax);
    stream.socket().shutdown(net::ip::tcp::socket::shutdown_send);
    char unread[16384];
    while (true) co_await stream.async_read_some(net::buffer(unread), net::use_awaitable);
}

net::awaitable<void> Shop::talk(net::ip::tcp::socket socket) const {
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer;
    for (bool keep_alive = true; keep_alive;) {
        http::request_parser<http::string_body> parser;
        parser.body_limit(kBodyBytesMax);
        stream.expires_after(kIdleMax);
        co_await http::async_read_header(stream, buffer, parser, net::use_awaitable);
        if (auto refusal = replay_.refuse(parser.get())) {
            co_await http::async_write(stream, *refusal, net::use_awaitable);
            co_await linger(stream);  // ends by end of stream or by its time
        }
        co_await http::async_read(stream, buffer, parser, net::use_awaitable);
        Response response = answer(parser.get());
        keep_alive = response.keep_alive();
        co_await http::async_write(stream, response, net::use_awaitable);
    }
    stream.socket().shutdown(net::ip::tcp::socket::shutdown_send);
}

net::awaitable<void> accept(net::ip::tcp::acceptor acceptor, const Shop& shop) {
    while (true) {
        // A strand each: a connection's timer and its reads run on one thread at a time.
        const net::any_io_executor strand = net::make_strand(acceptor.get_executor());
        net::ip::tcp::socket socket(strand);
        co_await acceptor.async_accept(socket, net::use_awaitable);
        // The error of a connection, as when the client closes it, ends that connection only.
        net::co_spawn(strand, shop.talk(std::move(socket)), [](const std::exception_ptr&) {});
    }
}

int serve() {
    const RegionalUrl database = url_from_environment();
    const Orders orders(database.url);
    std::unique_ptr<ReplicaPoller> poller;  // the primary region has nothing to wait for
    if (database.is_replica) {
        poller =
            std::make_unique<ReplicaPoller>(std::make_unique<LibpqPositionSource>(database.url));
    }
    const ReadGate reads(TokenSigner(keys_from_text(env("HOMEWARD_REPLAY_KEYS")).keys),
                         poller.get());
    const Gate gate(regions_from_environment(),
                    {.answer = {.accel_prefix = env("REPLAY_ACCEL_PREFIX")},
                     .passthrough = {"/uploads/*"},
                     .cause_of = [](const auto& error) { return cause_of(error); },
                     .look = look_with(reads),
                     .ask_role = [&] { return orders.role(); },
                     .on_decision = say});
    const Shop shop(gate, reads, orders);
    net::thread_pool threads(kThreads);
    const auto port = static_cast<unsigned short>(std::atoi(env("PORT").c_str()));
    net::ip::tcp::acceptor acceptor(threads, {net::ip::make_address("127.0.0.1"), port});
    net::co_spawn(threads, accept(std::move(acceptor), shop), net::detached);
    threads.join();
    return 0;
}

}  // namespace

int main() {
    try {
        return serve();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
