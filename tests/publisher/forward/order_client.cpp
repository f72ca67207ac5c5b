// The replica region's client under test: threads that call as fast as they can until they are
// killed. Each call is in a journal, a line before it and a line after it, by write(2):
//
//   begin KEY BODY
//   end KEY OUTCOME REPLY
//
//   order_client NATS_URL JOURNAL RUN THREADS

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "tests/publisher/forward/order_processes.hpp"

using namespace homeward;
using namespace std::chrono_literals;

namespace {

void write_line(int journal, const std::string& line) {
    if (::write(journal, line.data(), line.size()) != static_cast<ssize_t>(line.size())) abort();
}

void call_for_ever(forward::Client& primary, int journal, const std::string& prefix) {
    std::mt19937 random(std::random_device{}());
    for (int n = 0;; ++n) {
        const std::string key = prefix + std::to_string(n);
        const std::string body = (random() % 8 == 0 ? "fail-" : "tea-") + key;
        // Some give up early, so that calls are in doubt.
        const auto deadline = random() % 4 == 0 ? 15ms : 3'000ms;
        write_line(journal, "begin " + key + " " + body + "\n");
        const forward::Reply reply =
            primary.call("order.place", body, {.key = key, .deadline = deadline});
        write_line(journal, "end " + key + " " + std::string(name_of(reply.outcome)) + " " +
                                (reply ? reply.body : std::string("-")) + "\n");
        if (reply.outcome == forward::Outcome::unavailable) {
            write_line(2, key + " unavailable after " + std::to_string(reply.attempts) +
                              " messages: " + reply.body + "\n");
        }
        if (reply.outcome == forward::Outcome::no_responders) std::this_thread::sleep_for(20ms);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) return 2;
    const int journal = ::open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    forward::ClientOptions options;
    options.connection.nats_urls = {argv[1]};
    options.connection.region = "ams";
    options.connection.app = "shop";
    options.connection.on_log = [](std::string_view) {};
    options.retry_after = 100ms;
    forward::Client primary(options);
    std::vector<std::thread> threads;
    for (int i = 0; i < std::atoi(argv[4]); ++i) {
        threads.emplace_back([&, i] {
            call_for_ever(primary, journal, std::string(argv[3]) + "." + std::to_string(i) + ".");
        });
    }
    for (std::thread& thread : threads) thread.join();
}
