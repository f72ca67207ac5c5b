// SIGKILL at random moments under load, of servers, client, leaf, hub and leader; judged by the
// client's journal, on a table without a unique index.

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/fault/load.hpp"
#include "tests/publisher/forward/call_regions.hpp"
#include "tests/publisher/forward/order_processes.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// What the client was told of a key; "begun": it died before it was told anything.
struct Told {
    std::string body;
    std::string outcome = "begun";
    std::string reply{};
};

std::map<std::string, Told> read_journal(const std::filesystem::path& file) {
    std::map<std::string, Told> told;
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string kind, key;
        words >> kind >> key;
        if (kind == "begin") {
            words >> told[key].body;
        } else if (kind == "end") {
            Told& one = told[key];
            words >> one.outcome;
            std::getline(words >> std::ws, one.reply);
        }
    }
    return told;
}

/// Everything that is killed and started again.
class Shop {
  public:
    Shop() : journal_(regions_.dir() / "journal") {
        regions_.leader().query("CREATE INDEX ON orders (key)");
    }

    CallRegions& regions() { return regions_; }
    std::string log() const { return read_file(regions_.dir() / "servers.log"); }
    std::map<std::string, Told> told() const { return read_journal(journal_); }

    void start_server(std::size_t which) {
        servers_[which] =
            Process({HOMEWARD_ORDER_SERVER, regions_.hub().url(), regions_.leader().url()},
                    {.log = regions_.dir() / "servers.log"});
    }
    void kill_server(std::size_t which) { servers_[which].kill(); }
    int stop_server(std::size_t which) { return servers_[which].stop(30s); }
    void start_client() {
        client_ = Process(
            {HOMEWARD_ORDER_CLIENT, regions_.leaf().url(), journal_, std::to_string(++runs_), "6"});
    }
    void kill_client() { client_.kill(); }

  private:
    CallRegions regions_;
    std::filesystem::path journal_;
    std::array<Process, 2> servers_;
    Process client_;
    int runs_ = 0;
};

/// Kills one of the five and starts it again.
void kill_one(Shop& shop, int which, int pause_ms) {
    switch (which) {
        case 0:
        case 1:
            shop.kill_server(static_cast<std::size_t>(which));
            sleep_ms(pause_ms);
            return shop.start_server(static_cast<std::size_t>(which));
        case 2:
            shop.kill_client();
            return shop.start_client();
        case 3:
            shop.regions().leaf().kill();
            sleep_ms(pause_ms);
            return shop.regions().leaf().start(NatsServer::Until::serving);
        case 4:
            shop.regions().hub().kill();
            sleep_ms(pause_ms);
            return shop.regions().hub().start(NatsServer::Until::serving);
        default:
            shop.regions().leader().kill();
            return shop.regions().leader().start();
    }
}

}  // namespace

TEST_CASE("every key has its effect once or not at all, and what the client was told is true") {
    // Method: six threads call without pause; an eighth of the calls fails, a quarter has a
    // deadline of 15 ms. In each of 20 rounds (200 with --full) one of two servers, the client,
    // leaf, hub or leader is killed at a random moment. At the end every key is abandoned, which
    // tells how it ended, and for good.
    std::mt19937_64 random(announced_seed());
    const auto below = [&](int limit) {
        return std::uniform_int_distribution<int>(0, limit - 1)(random);
    };
    Shop shop;
    shop.start_server(0);
    shop.start_server(1);
    shop.start_client();
    const int rounds_max = rounds(20, 200);
    for (int round = 0; round < rounds_max; ++round) {
        sleep_ms(100 + below(600));
        // Each of them in the short run; servers and client more often.
        constexpr std::array kOrder{0, 2, 1, 3, 0, 4, 2, 5, 1, 0};
        kill_one(shop, kOrder[static_cast<std::size_t>(round) % kOrder.size()], below(200));
    }
    sleep_ms(500);
    shop.kill_client();

    std::map<std::string, int> rows;
    // What is still under way first gets its end.
    Client primary(shop.regions().client_options());
    const auto told = shop.told();
    std::map<std::string, std::string> ends;
    for (const auto& [key, one] : told) {
        // What has ended needs none, nor what never was delivered.
        if (one.outcome == "ok" || one.outcome == "failed" || one.outcome == "no_responders")
            continue;
        ends[key] = name_of(primary.abandon(key, 20s).outcome);
    }
    const std::array ends_of_servers{shop.stop_server(0), shop.stop_server(1)};
    INFO(shop.log());
    CHECK(ends_of_servers == std::array{0, 0});
    for (const auto& row : shop.regions().leader().query("SELECT key, item FROM orders")) {
        ++rows[row[0]];
        INFO(row[0]);
        CHECK(told.count(row[0]) == 1);
    }
    std::map<std::string, int> outcomes;
    int late = 0;
    for (const auto& [key, one] : told) {
        INFO(key << " " << one.body << " was told: " << one.outcome << " " << one.reply
                 << "; at the end: " << ends[key]);
        ++outcomes[one.outcome];
        const int found = rows[key];
        const bool is_failing = one.body.substr(0, 4) == "fail";
        CHECK(found <= (is_failing ? 0 : 1));
        if (one.outcome == "ok") {
            CHECK(found == 1);
            CHECK(one.reply == order_reply(one.body));
        } else if (one.outcome == "in_doubt" || one.outcome == "begun") {
            CHECK(found == (ends[key] == "ok" ? 1 : 0));
            CHECK((ends[key] == "ok" || ends[key] == "failed" || ends[key] == "abandoned"));
            late += found;
        } else {
            CHECK(found == 0);
        }
    }
    std::string counts;
    for (const auto& [outcome, count] : outcomes)
        counts += " " + outcome + " " + std::to_string(count);
    std::printf("%d kills, %zu calls:%s; %d in doubt had committed\n", rounds_max, told.size(),
                counts.c_str(), late);
    INFO(counts << "\n" << shop.log());
    CHECK(outcomes["ok"] > 5 * rounds_max);
    CHECK(outcomes["failed"] > 0);
    // Else no kill met a transaction, and nothing was tested.
    CHECK(outcomes["in_doubt"] + outcomes["begun"] > 0);
    CHECK(late > 0);
}
