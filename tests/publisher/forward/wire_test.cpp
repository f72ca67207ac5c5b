#include "publisher/forward/call_attempts.hpp"
#include "publisher/forward/call_queue.hpp"
#include "publisher/forward/call_wire.hpp"
#include "publisher/forward/leader_link.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::forward;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<Job> job(const std::string& key, const std::string& body,
                         const std::string& reply) {
    auto made = std::make_shared<Job>();
    made->operation = "order.place";
    made->key = key;
    made->body = body;
    made->replies = {reply};
    return made;
}

Answer answer(Outcome outcome) {
    Answer made;
    made.outcome = outcome;
    return made;
}

}  // namespace

TEST_CASE("a call's subject names region, app and operation, and nothing else is taken for one") {
    CHECK(call_subject("ams", "shop", "order.place") == "homeward.call.ams.shop.order.place");
    const auto parts = parse_call_subject("homeward.call.ams.shop.order.place");
    REQUIRE(parts);
    CHECK(parts->region == "ams");
    CHECK(parts->app == "shop");
    CHECK(parts->operation == "order.place");
    CHECK(parse_call_subject("homeward.call.ams.shop._outcome"));
    for (const char* wrong :
         {"", "homeward.call", "homeward.call.ams.shop", "homeward.call.ams.shop.",
          "homeward.call..shop.order", "homeward.call.ams.shop._other", "homeward.call.AMS.shop.a",
          "homeward.call.ams.shop.a..b", "homeward.call.ams.shop.a.", "homeward.plain.ams.shop.a",
          "homeward.call.ams.shop.a b", "homeward.call.*.shop.a"}) {
        INFO(wrong);
        CHECK_FALSE(parse_call_subject(wrong));
    }
    CHECK_FALSE(is_valid_operation(std::string(kOperationBytesMax + 1, 'a')));
}

TEST_CASE("a call's header comes back as it was written, and a damaged one does not") {
    const std::string text = write_call_header({"order:17", 1764489600000000us, 2s});
    const auto header = parse_call_header(text);
    REQUIRE(header);
    CHECK(header->key == "order:17");
    CHECK(header->deadline_at == 1764489600000000us);
    CHECK(header->left == 2s);
    CHECK(parse_call_header(text + " of-a-later-version"));
    for (const std::string& wrong :
         {std::string(), std::string("1"), std::string("2 k 1 1"), std::string("1 k 1"),
          std::string("1 k 1 -1"), std::string("1 k x 1"), std::string("1  1 1"),
          std::string("1 k 1 99999999999999999999"), "1 " + std::string(129, 'k') + " 1 1",
          std::string("1 k\n 1 1")}) {
        INFO(wrong);
        CHECK_FALSE(parse_call_header(wrong));
    }
}

TEST_CASE("every outcome's header comes back as it was written, and a damaged one does not") {
    for (std::size_t i = 0; i < kOutcomes; ++i) {
        Answer sent = answer(static_cast<Outcome>(i));
        sent.was_stored = i % 2 == 0;
        sent.retry_after = 25ms;
        sent.code = i % 3 == 0 ? "" : "out_of_stock";
        sent.session_token = i % 3 == 0 ? "v1.k1.1.2.3" : "";
        const auto came = parse_reply_header(write_reply_header(sent));
        REQUIRE(came);
        CHECK(came->outcome == sent.outcome);
        CHECK(came->was_stored == sent.was_stored);
        CHECK(came->retry_after == sent.retry_after);
        CHECK(came->code == sent.code);
        CHECK(came->session_token == sent.session_token);
    }
    for (const char* wrong : {"", "1", "1 ok", "1 fine 0 0 - -", "1 ok 2 0 - -", "1 ok 0 x - -",
                              "1 ok 0 0 a!b -", "1 ok 0 0 -", "2 ok 0 0 - -", "1 ok 0 -5 - -"}) {
        INFO(wrong);
        CHECK_FALSE(parse_reply_header(wrong));
    }
    CHECK(clean_code("no stock!") == "no_stock_");
}

TEST_CASE("as long as one message has no answer, the call is not known to be undone") {
    CallAttempts attempts;
    CHECK_FALSE(attempts.has_open());
    CHECK(attempts.begin() == 0);
    CHECK(attempts.begin() == 1);
    attempts.answer(1, answer(Outcome::busy));
    CHECK(attempts.has_open());
    attempts.answer(1, answer(Outcome::busy));  // twice
    CHECK(attempts.has_open());
    attempts.answer(0, answer(Outcome::in_doubt));  // the server does not know either
    CHECK(attempts.has_open());
    CHECK(attempts.begin() == 2);
    attempts.cancel();
    attempts.answer(7, answer(Outcome::ok));  // of nobody
    CHECK(attempts.wait(CallAttempts::Clock::now())->outcome == Outcome::busy);
    CHECK(attempts.wait(CallAttempts::Clock::now())->outcome == Outcome::in_doubt);
    CHECK_FALSE(attempts.wait(CallAttempts::Clock::now()));
}

TEST_CASE("a denied subject refuses the calls whose only message that channel has carried") {
    const auto channel = std::make_shared<int>();
    const auto before = std::make_shared<int>();
    CallRegistry registry;
    CallRegistry::Entry denied(registry, "homeward.call.ams.shop.order.place");
    CallRegistry::Entry earlier(registry, "homeward.call.ams.shop.order.place");
    CallRegistry::Entry sent_twice(registry, "homeward.call.ams.shop.order.place");
    CallRegistry::Entry other(registry, "homeward.call.ams.shop.order.cancel");
    for (auto* entry : {&denied, &sent_twice, &other}) entry->attempts().begin(channel);
    earlier.attempts().begin(before);
    // A second message that could not be sent is none.
    earlier.attempts().begin(channel);
    earlier.attempts().cancel();
    sent_twice.attempts().begin(channel);
    registry.refuse("homeward.call.ams.shop.order.place", channel, answer(Outcome::refused));
    const auto now = CallAttempts::Clock::now();
    CHECK(denied.attempts().wait(now)->outcome == Outcome::refused);
    for (auto* entry : {&earlier, &sent_twice, &other}) {
        CHECK_FALSE(entry->attempts().wait(now));
        CHECK(entry->attempts().has_open());
    }
}

TEST_CASE(
    "a message that is sent again joins its call, another body does not, and a full queue says "
    "so") {
    CallQueue queue(2);
    CHECK(queue.push(job("k1", "a", "r1")) == CallQueue::Pushed::queued);
    CHECK(queue.push(job("k1", "a", "r2")) == CallQueue::Pushed::joined);
    CHECK(queue.push(job("k1", "b", "r3")) == CallQueue::Pushed::queued);
    CHECK(queue.push(job("k2", "a", "r4")) == CallQueue::Pushed::full);
    const auto first = queue.pop();
    // While it runs, too.
    CHECK(queue.push(job("k1", "a", "r5")) == CallQueue::Pushed::joined);
    CHECK(queue.finish(*first) == std::vector<std::string>{"r1", "r2", "r5"});
    CHECK(queue.push(job("k1", "a", "r6")) == CallQueue::Pushed::queued);
    queue.close();
    CHECK(queue.push(job("k3", "a", "r7")) == CallQueue::Pushed::closed);
    // What it has is still done.
    CHECK_FALSE(queue.wait_idle(0ms));
    for (const char* reply : {"r3", "r6"}) {
        const auto next = queue.pop();
        REQUIRE(next);
        CHECK(queue.finish(*next) == std::vector<std::string>{reply});
    }
    CHECK(queue.pop() == nullptr);
    CHECK(queue.wait_idle(0ms));
}

TEST_CASE("a connection string gets what leads to a leader, and keeps what it says itself") {
    const std::string added =
        "connect_timeout=2&tcp_user_timeout=5000&keepalives_idle=2&keepalives_interval=1"
        "&keepalives_count=3&application_name=homeward-forward";
    CHECK(leader_url("postgresql://a,b/app") ==
          "postgresql://a,b/app?target_session_attrs=read-write&" + added);
    CHECK(leader_url("postgresql://a/app?target_session_attrs=any") ==
          "postgresql://a/app?target_session_attrs=any&" + added);
    CHECK(leader_url("host=a connect_timeout=9") ==
          "host=a connect_timeout=9 target_session_attrs=read-write tcp_user_timeout=5000"
          " keepalives_idle=2 keepalives_interval=1 keepalives_count=3 "
          "application_name=homeward-forward");
}

TEST_CASE("an answer that comes with the deadline is left, or its message is open") {
    CallAttempts attempts;
    CHECK_FALSE(attempts.take_left().is_open);
    const unsigned first = attempts.begin();
    const unsigned second = attempts.begin();
    CHECK(attempts.take_left().is_open);
    attempts.answer(second, answer(Outcome::unavailable));
    CallAttempts::Left left = attempts.take_left();
    CHECK(left.is_open);
    REQUIRE(left.answers.size() == 1);
    // Nobody waits any longer, and it is not taken for a message that had no answer, nor for none.
    attempts.answer(first, answer(Outcome::ok));
    left = attempts.take_left();
    CHECK_FALSE(left.is_open);
    REQUIRE(left.answers.size() == 1);
    CHECK(left.answers.front().outcome == Outcome::ok);
    CHECK(attempts.take_left().answers.empty());
}

TEST_CASE("a call that is sent for ever joins its job for a bounded number of answers") {
    CallQueue queue(1);
    REQUIRE(queue.push(job("k", "b", "_INBOX.0")) == CallQueue::Pushed::queued);
    for (int i = 1; i < 1'000; ++i) {
        REQUIRE(queue.push(job("k", "b", "_INBOX." + std::to_string(i))) ==
                CallQueue::Pushed::joined);
    }
    CHECK(queue.push(job("k", "b", "_INBOX.x")) == CallQueue::Pushed::full);
    CHECK(queue.finish(*queue.pop()).size() == 1'000);
}
