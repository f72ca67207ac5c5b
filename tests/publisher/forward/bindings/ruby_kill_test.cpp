// A Ruby server that is killed at random moments, while clients call without pause.

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "tests/fault/load.hpp"
#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

Process ruby_server(CallRegions& regions) {
    ProcessOptions options;
    options.environment = {{"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
                           {"HOMEWARD_FORWARD_SERVER_LIBRARY", HOMEWARD_SERVER_LIBRARY},
                           {"RUBYLIB", HOMEWARD_RUBY_DIR}};
    options.log = regions.dir() / "ruby";
    return Process({"ruby", std::string(HOMEWARD_SCRIPTS) + "/order_server.rb", regions.hub().url(),
                    regions.leader().url()},
                   options);
}

/// Threads that call as fast as they can, until they are stopped.
class Callers {
  public:
    Callers(Client& primary, int threads) : primary_(primary) {
        for (int i = 0; i < threads; ++i) {
            threads_.emplace_back([this, i] { call_until_stopped("k" + std::to_string(i) + "-"); });
        }
    }
    ~Callers() { stop(); }
    Callers(const Callers&) = delete;
    Callers& operator=(const Callers&) = delete;

    /// By key.
    std::map<std::string, Outcome> stop() {
        is_stopping_ = true;
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
        return told_;
    }
    int ok() const { return ok_; }

  private:
    void call_until_stopped(const std::string& prefix) {
        for (int n = 0; !is_stopping_; ++n) {
            const std::string key = prefix + std::to_string(n);
            const std::string body = n % 8 == 0 ? "raise" : "tea";
            // Some give up early, so that calls are in doubt.
            const auto deadline = n % 4 == 1 ? 20ms : 2'000ms;
            const Reply reply =
                primary_.call("order.place", body, {.key = key, .deadline = deadline});
            if (reply) ++ok_;
            if (reply.outcome == Outcome::no_responders) std::this_thread::sleep_for(20ms);
            const std::lock_guard lock(mutex_);
            told_[key] = reply.outcome;
        }
    }

    Client& primary_;
    std::atomic<bool> is_stopping_{false};
    std::atomic<int> ok_{0};
    std::mutex mutex_;
    std::map<std::string, Outcome> told_;
    std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE(
    "kill -9 of a Ruby server: effects once or not at all, and what clients were told is true") {
    CallRegions regions;
    std::mt19937_64 random(announced_seed());
    Process server = ruby_server(regions);
    Client primary(regions.client_options());
    Callers callers(primary, 4);
    const int rounds_max = rounds(8, 40);
    for (int round = 0; round < rounds_max; ++round) {
        const int before = callers.ok();
        const bool serves = wait_until(60s, [&] { return callers.ok() > before + 5; });
        INFO(read_file(regions.dir() / "ruby"));
        REQUIRE(serves);
        sleep_ms(static_cast<int>(random() % 200));
        server.kill();
        server = ruby_server(regions);
    }
    const std::map<std::string, Outcome> told = callers.stop();
    std::map<std::string, int> rows;
    for (const auto& row : regions.leader().query("SELECT key FROM orders")) ++rows[row[0]];
    std::map<std::string, int> outcomes;
    for (const auto& [key, outcome] : told) {
        INFO(key << " was told " << name_of(outcome));
        ++outcomes[std::string(name_of(outcome))];
        if (outcome == Outcome::ok) {
            CHECK(rows.count(key) == 1);
        } else if (outcome == Outcome::in_doubt) {
            const Outcome end = primary.abandon(key, 60s).outcome;
            INFO("in the end " << name_of(end));
            CHECK((end == Outcome::ok || end == Outcome::failed || end == Outcome::abandoned));
            CHECK(regions.orders(key) == (end == Outcome::ok ? 1 : 0));
        } else {
            CHECK(rows.count(key) == 0);
        }
    }
    for (const auto& [key, count] : rows) CHECK(count == 1);
    for (const auto& [outcome, count] : outcomes) {
        std::printf("%s %d\n", outcome.c_str(), count);
    }
    // Else no kill met a call, and nothing was tested.
    CHECK(outcomes["in_doubt"] > 0);
    CHECK(outcomes["failed"] > 0);
    CHECK(server.stop(60s) == 0);
}
