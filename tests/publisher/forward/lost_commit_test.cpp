// A COMMIT whose answer never came: the server looks for the key, and tells its caller what is
// true.

#include <array>
#include <atomic>

#include "tests/fault/load.hpp"
#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"

using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// The statement, and not a part of READ COMMITTED.
bool has_commit(std::string_view sent) {
    return sent.find(std::string_view("COMMIT", 7)) != std::string_view::npos;
}

}  // namespace

TEST_CASE("a connection that is cut while COMMIT is under way neither loses nor doubles a call") {
    // Method: a proxy on the way to the leader looks for COMMIT and resets the connection, in turn
    // before the leader has it, right behind it, and when the leader has answered; 20 times, or
    // 200 with --full. A call passes undisturbed in between. One worker, so that each call meets
    // its cut.
    constexpr std::array kCuts{TcpProxy::Act::cut, TcpProxy::Act::cut_behind,
                               TcpProxy::Act::cut_at_answer};
    const int cuts_wanted = rounds(20, 200);
    CallRegions regions;
    TcpProxy proxy(regions.leader().port());
    ServerOptions options = regions.server_options();
    options.workers = 1;
    options.database_url =
        "postgresql://postgres@127.0.0.1:" + std::to_string(proxy.port()) + "/postgres";
    OrderServer server(regions, options);
    Client primary(regions.client_options());
    REQUIRE(primary.call("order.place", "first"));
    std::atomic<bool> is_armed{false};
    std::atomic<int> cuts{0};
    proxy.watch([&](std::string_view sent) {
        if (!has_commit(sent)) return TcpProxy::Act::pass;
        if (!is_armed.exchange(false)) return TcpProxy::Act::pass;
        return kCuts[static_cast<std::size_t>(cuts++) % kCuts.size()];
    });
    int settled_by_looking = 0;
    for (int round = 0; round < cuts_wanted; ++round) {
        INFO("cut " << round);
        const std::string key = "cut-" + std::to_string(round);
        is_armed = true;
        const Reply reply = primary.call("order.place", "cut", {.key = key});
        INFO(name_of(reply.outcome) << " " << reply.body << "\n" << regions.log());
        REQUIRE(reply);
        CHECK(reply.body == "placed cut");
        settled_by_looking += reply.was_stored;
        CHECK(regions.orders(key) == 1);
        CHECK(primary.call("order.place", "undisturbed"));
    }
    CHECK(cuts == cuts_wanted);
    CHECK(regions.leader().number("SELECT count(*) FROM orders") == 2 * cuts_wanted + 1);
    CHECK(server->stats().in_doubt >= static_cast<std::uint64_t>(cuts_wanted));
    // A third of the cuts at least came behind a COMMIT that had happened.
    CHECK(settled_by_looking >= cuts_wanted / 3);
}

TEST_CASE("a COMMIT that hangs leaves the call in doubt, and its outcome is told later") {
    CallRegions regions;
    TcpProxy proxy(regions.leader().port());
    ServerOptions options = regions.server_options();
    options.database_url =
        "postgresql://postgres@127.0.0.1:" + std::to_string(proxy.port()) + "/postgres";
    OrderServer server(regions, options);
    Client primary(regions.client_options());
    REQUIRE(primary.call("order.place", "first"));
    std::atomic<bool> is_armed{true};
    proxy.watch([&](std::string_view sent) {
        return has_commit(sent) && is_armed.exchange(false) ? TcpProxy::Act::hold
                                                            : TcpProxy::Act::pass;
    });
    const Reply doubt = primary.call("order.place", "held", {.key = "held-1", .deadline = 1s});
    INFO(name_of(doubt.outcome) << " " << doubt.body);
    CHECK(doubt.outcome == Outcome::in_doubt);
    proxy.resume();
    const Reply told = primary.outcome("held-1", 20s);
    CHECK(told.outcome == Outcome::ok);
    CHECK(told.body == "placed held");
    CHECK(regions.orders("held-1") == 1);
}
