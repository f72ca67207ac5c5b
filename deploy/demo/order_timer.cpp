// homeward-order-timer: how long an order takes from ams, over a WebSocket and statement by
// statement.
//
//   homeward-order-timer WEBSOCKET_PORT LEADER_URL
//
// Two threads place orders, 200 ms apart. One calls "order.place" over the WebSocket of the app
// in ams; the other sends the same statements, BEGIN and COMMIT among them, to the leader one by
// one. Both keep their connection, and make a new one when it is lost. An order's time ends with
// its success, retries included. SIGTERM: prints p50 and p99 of both, and ends.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "publisher/replay/examples/orders.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kPause = 200ms;
constexpr auto kRetryPause = 500ms;
constexpr auto kFirstOrderMax = 30s;

/// Any thread.
class Durations {
  public:
    void add(Clock::duration time) {
        const std::lock_guard lock(mutex_);
        ms_.push_back(std::chrono::duration<double, std::milli>(time).count());
    }
    std::size_t count() const {
        const std::lock_guard lock(mutex_);
        return ms_.size();
    }
    /// 0 when there is none.
    double quantile(double q) {
        const std::lock_guard lock(mutex_);
        if (ms_.empty()) return 0;
        std::sort(ms_.begin(), ms_.end());
        return ms_[static_cast<std::size_t>(q * static_cast<double>(ms_.size() - 1))];
    }

  private:
    mutable std::mutex mutex_;
    std::vector<double> ms_;
};

/// As a page's: one connection, one order at a time.
class OrderSocket {
  public:
    explicit OrderSocket(int port) {
        const boost::asio::ip::tcp::endpoint there(boost::asio::ip::make_address("127.0.0.1"),
                                                   static_cast<std::uint16_t>(port));
        socket_.next_layer().connect(there);
        socket_.next_layer().set_option(boost::asio::ip::tcp::no_delay(true));
        socket_.handshake("127.0.0.1:" + std::to_string(port), "/");
    }

    /// With its key, so that it may be sent again. Throws if it is not known to be placed.
    void place(const std::string& item, const std::string& key) {
        const nlohmann::json call{
            {"id", key}, {"call", "order.place"}, {"key", key}, {"body", item}};
        socket_.write(boost::asio::buffer(call.dump()));
        boost::beast::flat_buffer buffer;
        socket_.read(buffer);
        const auto reply = nlohmann::json::parse(boost::beast::buffers_to_string(buffer.data()));
        if (reply["outcome"] != "ok") throw std::runtime_error(reply.dump());
    }

  private:
    boost::asio::io_context io_;
    boost::beast::websocket::stream<boost::asio::ip::tcp::socket> socket_{io_};
};

void retry(const std::string& what, const std::function<void()>& action) {
    while (true) {
        try {
            return action();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s: %s\n", what.c_str(), error.what());
            std::this_thread::sleep_for(kRetryPause);
        }
    }
}

/// Places orders for ever. `connect` and `place` throw when they have to be done again.
void place_orders(const std::string& kind, Durations& durations,
                  const std::function<void()>& connect,
                  const std::function<void(const std::string& item)>& place) {
    retry(kind, connect);
    for (int i = 1;; ++i) {
        const std::string item = kind + " " + std::to_string(i);
        const auto begin = Clock::now();
        retry(item, [&] {
            connect();
            place(item);
        });
        durations.add(Clock::now() - begin);
        std::this_thread::sleep_for(kPause);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: homeward-order-timer WEBSOCKET_PORT LEADER_URL\n");
        return 2;
    }
    sigset_t stop;  // blocked before any thread is made, so that only sigwait() takes it
    sigemptyset(&stop), sigaddset(&stop, SIGTERM), pthread_sigmask(SIG_BLOCK, &stop, nullptr);
    const int port = std::atoi(argv[1]);
    const std::string url = argv[2];
    static Durations forwarded, direct;

    std::thread([port] {
        std::optional<OrderSocket> socket;
        const auto connect = [&] {
            if (!socket) socket.emplace(port);
        };
        place_orders("over the WebSocket", forwarded, connect, [&](const std::string& item) {
            std::string key = item;
            std::replace(key.begin(), key.end(), ' ', '-');
            try {
                socket->place(item, key);
            } catch (...) {
                socket.reset();
                throw;
            }
        });
    }).detach();
    std::thread([url] {
        const auto connect = [&] { static_cast<void>(homeward::replay::thread_connection(url)); };
        place_orders("statement by statement", direct, connect, [&](const std::string& item) {
            pqxx::work work(homeward::replay::thread_connection(url));
            place_order(work, item);
            work.commit();
        });
    }).detach();

    int caught = 0;
    sigwait(&stop, &caught);
    // After a short run on a busy machine the first orders may still be under way.
    const auto patience = Clock::now() + kFirstOrderMax;
    while ((forwarded.count() == 0 || direct.count() == 0) && Clock::now() < patience) {
        std::this_thread::sleep_for(kPause);
    }
    std::printf(
        "%zu orders over the WebSocket: p50 %.0f ms, p99 %.0f ms; the same statements sent to the "
        "leader one by one: p50 %.0f ms, p99 %.0f ms\n",
        forwarded.count(), forwarded.quantile(0.5), forwarded.quantile(0.99), direct.quantile(0.5),
        direct.quantile(0.99));
    std::fflush(stdout);
    std::_Exit(0);  // the threads never end
}
