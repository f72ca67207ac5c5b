// The reads and its poller against a source that says what it is told to: what is asked when, and
// who waits how long. The real replica is in consistency_test.

#include <homeward/replay/session_consistency.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <ctime>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace homeward::replay;
using namespace std::chrono_literals;
using homeward::testing::wait_until;

namespace {

using Clock = std::chrono::steady_clock;
const TokenKey kKey{"k1", std::string(32, 'a')};
const Position kStart{7, 1, 1000};

/// What the source answers, and how often it was asked.
struct Script {
    std::mutex mutex;
    std::optional<ReplicaPosition> answer = ReplicaPosition{kStart, ServerRole::standby};
    std::array<int, 2> sockets{-1, -1};
    std::atomic<int> asked{0};
    std::atomic<Lsn> waited_for{0};  ///< what the server was told to wait for
    std::atomic<bool> is_throwing{false};

    void say(const std::optional<ReplicaPosition>& next) {
        const std::lock_guard lock(mutex);
        answer = next;
    }
    void say(Lsn lsn, std::uint32_t timeline = 1) {
        say(ReplicaPosition{{7, timeline, lsn}, ServerRole::standby});
    }
    ~Script() {
        for (const int socket : sockets) {
            if (socket >= 0) close(socket);
        }
    }
};

class ScriptedSource : public PositionSource {
  public:
    explicit ScriptedSource(std::shared_ptr<Script> script) : script_(std::move(script)) {}
    std::optional<ReplicaPosition> ask() override {
        if (++script_->asked % 2 == 0 && script_->is_throwing) throw 7;
        if (script_->is_throwing) throw std::runtime_error("the driver is out of memory");
        const std::lock_guard lock(script_->mutex);
        return script_->answer;
    }
    std::optional<ReplicaPosition> wait_for(const Position& seen,
                                            std::chrono::milliseconds) override {
        script_->waited_for = seen.lsn;
        return ask();
    }
    int socket() const override { return script_->sockets[0]; }

  private:
    std::shared_ptr<Script> script_;
};

struct Stage {
    explicit Stage(const PollOptions& poll = {}) {
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, script->sockets.data()) == 0);
        poller = std::make_unique<ReplicaPoller>(std::make_unique<ScriptedSource>(script), poll);
        SessionConsistencyOptions options;
        options.wait_max_ms = 20;
        reads = std::make_unique<SessionConsistency>(TokenSigner({kKey}), poller.get(), options);
    }

    /// As a browser sends it back.
    std::string cookie(Lsn lsn, std::uint32_t timeline = 1) const {
        const std::string value = reads->set_cookie({7, timeline, lsn});
        return value.substr(0, value.find(';'));
    }

    std::shared_ptr<Script> script = std::make_shared<Script>();
    std::unique_ptr<ReplicaPoller> poller;
    std::unique_ptr<SessionConsistency> reads;
};

Token token_at(Lsn lsn, std::uint32_t timeline = 1) {
    Token token;
    token.state = TokenState::fresh;
    token.seen = {7, timeline, lsn};
    return token;
}

}  // namespace

TEST_CASE("the cookie is out of reach of scripts, other sites and plain HTTP") {
    Stage stage;
    const std::string cookie = stage.reads->set_cookie(kStart);
    CHECK(cookie.find("__Host-homeward_seen=v2.k1.postgresql.7.1.3e8.") == 0);
    for (const char* attribute :
         {"; Path=/", "; Max-Age=86400", "; HttpOnly", "; Secure", "; SameSite=Lax"}) {
        CHECK(cookie.find(attribute) != std::string::npos);
    }
    CHECK(cookie.find("Domain") == std::string::npos);
}

TEST_CASE("a token that is covered costs no question to the replica") {
    Stage stage;
    const std::string cookie = stage.cookie(1000);
    CHECK(stage.reads->ask(cookie).coverage == Coverage::covered);
    CHECK(stage.reads->ask(cookie).server_role == ServerRole::standby);
    const int asked = stage.script->asked;
    CHECK(asked >= 1);
    for (int i = 0; i < 10'000; ++i) {
        const ReadAnswer answer = stage.reads->ask(cookie);
        if (answer.coverage != Coverage::covered || answer.has_waited) FAIL("asked again");
    }
    CHECK(stage.script->asked == asked);
}

TEST_CASE("without a token, in eventual mode and in the primary region nobody is asked") {
    Stage stage;
    CHECK(stage.reads->ask("").coverage == Coverage::not_asked);
    CHECK(stage.reads->ask("a=b; __Host-homeward_seen=v1.k1.7.1.3e8.1.00").coverage ==
          Coverage::not_asked);
    CHECK(stage.reads->ask(stage.cookie(9999), ReadMode::eventual).coverage == Coverage::not_asked);
    const SessionConsistency at_home(TokenSigner({kKey}), nullptr);
    CHECK(at_home.ask(stage.cookie(9999)).coverage == Coverage::not_asked);
    CHECK(stage.script->asked == 0);
}

TEST_CASE("a strong read is the primary's without a question") {
    Stage stage;
    CHECK(stage.reads->ask("", ReadMode::strong).coverage == Coverage::primary_only);
    CHECK(stage.script->asked == 0);
}

TEST_CASE("a session waits for the replica, and no longer than it may") {
    Stage stage;
    const std::string cookie = stage.cookie(2000);
    const auto begin = Clock::now();
    const ReadAnswer late = stage.reads->ask(cookie);
    CHECK(late.coverage == Coverage::behind);
    CHECK(late.has_waited);
    CHECK(Clock::now() - begin >= 20ms);
    CHECK(Clock::now() - begin < 5s);

    std::thread replay([&] {
        wait_until(60s, [&] { return stage.poller->stats().waited == 2; });
        stage.script->say(2000);
    });
    const ReplicaPoller::Outcome outcome = stage.poller->wait_for(token_at(2000), 60s);
    replay.join();
    CHECK(outcome.coverage == Coverage::covered);
    CHECK(outcome.has_waited);
}

TEST_CASE("one poller serves any number of waiters, with no more questions than for one") {
    PollOptions options;
    options.pause_min_ms = 20;
    options.pause_max_ms = 20;
    Stage stage(options);
    std::atomic<int> covered{0};
    std::vector<std::thread> waiters;
    const auto begin = Clock::now();
    for (int i = 0; i < 200; ++i) {
        waiters.emplace_back([&, i] {
            const Token token = token_at(2000 + static_cast<Lsn>(i));
            covered += stage.poller->wait_for(token, 60s).coverage == Coverage::covered;
        });
    }
    CHECK(wait_until(60s, [&] { return stage.poller->stats().waited == 200; }));
    stage.script->say(3000);
    for (std::thread& waiter : waiters) waiter.join();
    const auto most = 2 + (Clock::now() - begin) / 20ms;
    CHECK(covered == 200);
    CHECK(stage.script->asked <= most);
}

TEST_CASE("an idle poller asks nothing, and a waiter who gave up is forgotten") {
    Stage stage;
    CHECK(stage.poller->wait_for(token_at(2000), 5ms).coverage == Coverage::behind);
    // A question may be under way yet, however late the poller gets the processor.
    CHECK(wait_until(30s, [&] {
        const int asked = stage.script->asked;
        std::this_thread::sleep_for(200ms);
        return stage.script->asked == asked;
    }));
}

TEST_CASE("a replica that does not answer holds nobody up, and is asked again after a while") {
    PollOptions options;
    options.retry_ms = 50;
    Stage stage(options);
    stage.script->say(std::nullopt);
    CHECK(stage.poller->wait_for(token_at(1000), 60s).coverage == Coverage::position_unknown);
    const ReplicaPoller::Outcome outcome = stage.poller->wait_for(token_at(1000), 60s);
    CHECK(outcome.coverage == Coverage::position_unknown);
    CHECK_FALSE(outcome.has_waited);
    stage.script->say(1000);
    CHECK(wait_until(60s, [&] {
        return stage.poller->wait_for(token_at(1000), 0ms).coverage == Coverage::covered;
    }));
}

TEST_CASE("nobody waits for a replica that is far behind, until it has caught up") {
    PollOptions options;
    options.futile_ms = 50;
    Stage stage(options);
    CHECK(wait_until(60s, [&] { return !stage.poller->wait_for(token_at(2000), 5ms).has_waited; }));
    CHECK(stage.reads->ask(stage.cookie(3000)).coverage == Coverage::behind);
    stage.script->say(2000);
    // Those who do not wait keep the questions coming.
    CHECK(wait_until(60s, [&] {
        return stage.poller->wait_for(token_at(2000), 0ms).coverage == Coverage::covered;
    }));
    CHECK(stage.poller->wait_for(token_at(3000), 1ms).has_waited);
}

TEST_CASE("what the replica had is forgotten when its server hangs up") {
    Stage stage;
    CHECK(stage.poller->wait_for(token_at(1000), 60s).coverage == Coverage::covered);
    stage.script->say(500);  // a restarted standby begins before where it was
    close(std::exchange(stage.script->sockets[1], -1));
    CHECK(wait_until(
        60s, [&] { return stage.poller->coverage_now(token_at(1000)) == Coverage::behind; }));
}

TEST_CASE("without a socket to watch a position counts for a while only") {
    Stage stage;
    for (int& socket : stage.script->sockets) close(std::exchange(socket, -1));
    CHECK(stage.poller->wait_for(token_at(1000), 60s).coverage == Coverage::covered);
    CHECK(stage.poller->coverage_now(token_at(1000)) == Coverage::covered);
    CHECK(wait_until(60s, [&] {
        return stage.poller->coverage_now(token_at(1000)) == Coverage::position_unknown;
    }));
    CHECK(stage.poller->wait_for(token_at(1000), 60s).coverage == Coverage::covered);
}

TEST_CASE("another history is told after one fresh question, not from memory") {
    Stage stage;
    CHECK(stage.poller->wait_for(token_at(1000), 60s).coverage == Coverage::covered);
    const ReplicaPoller::Outcome outcome = stage.poller->wait_for(token_at(1000, 2), 60s);
    CHECK(outcome.coverage == Coverage::different_timeline);
    stage.script->say(1000, 2);
    CHECK(stage.poller->wait_for(token_at(1000, 2), 60s).coverage == Coverage::covered);
}

TEST_CASE("of several cookies of one name the genuine one that asks for most counts") {
    Stage stage;
    const std::string planted =
        "__Host-homeward_seen=v2.k1.postgresql.7.1.1.9999999999." + std::string(64, '0');
    const std::string good = stage.cookie(2000);
    // Or the replica may not have been asked yet within the reads's wait.
    REQUIRE(stage.poller->wait_for(token_at(1000), 60s).coverage == Coverage::covered);
    CHECK(stage.reads->ask_now(planted + "; " + good, ReadMode::session).token ==
          TokenState::fresh);
    CHECK(stage.reads->ask(planted + "; " + good + "; " + stage.cookie(10)).coverage ==
          Coverage::behind);
    CHECK(stage.reads->ask(stage.cookie(10) + ";" + good).coverage == Coverage::behind);
}

TEST_CASE("a token of another engine is refused by name, and costs no question") {
    Stage stage;
    Position gtid;
    gtid.engine = Engine::mariadb;
    gtid.text = "0-1-100";
    const std::string other = stage.reads->set_cookie(gtid);
    const ReadAnswer answer = stage.reads->ask(other);
    CHECK(answer.token == TokenState::other_engine);
    CHECK(name_of(answer.token) == "other_engine");
    CHECK(answer.coverage == Coverage::not_asked);
    CHECK(stage.script->asked == 0);
    // The one of this engine beside it counts, whichever comes first.
    REQUIRE(stage.poller->wait_for(token_at(1000), 60s).coverage == Coverage::covered);
    const std::string own = stage.cookie(2000);
    const std::string foreign = other.substr(0, other.find(';'));
    for (const std::string& cookies : {own + "; " + foreign, foreign + "; " + own}) {
        CHECK(stage.reads->ask(cookies).token == TokenState::fresh);
        CHECK(stage.reads->ask(cookies).coverage == Coverage::behind);
    }
}

TEST_CASE("a server that can wait is told for what") {
    Stage stage;
    REQUIRE(stage.poller->wait_for(token_at(1000), 60s).coverage == Coverage::covered);
    CHECK(stage.script->waited_for == 0);
    std::thread reader(
        [&] { CHECK(stage.poller->wait_for(token_at(3000), 60s).coverage == Coverage::covered); });
    CHECK(wait_until(60s, [&] { return stage.script->waited_for == 3000; }));
    stage.script->say(3000);
    reader.join();
    // Of another history no wait would ever end.
    stage.script->waited_for = 0;
    CHECK(stage.poller->wait_for(token_at(4000, 2), 60s).coverage == Coverage::different_timeline);
    CHECK(stage.script->waited_for == 0);
}

TEST_CASE("a cookie is found among others, and only by its whole name") {
    std::vector<std::string> found;
    const auto look = [&](std::string_view header) {
        found.clear();
        each_cookie(header, "seen", [&](std::string_view value) { found.emplace_back(value); });
        return found;
    };
    using Values = std::vector<std::string>;
    CHECK(look("a=b; seen=1; c=d") == Values{"1"});
    CHECK(look("seen=1;seen=2") == Values{"1", "2"});
    CHECK(look("unseen=1; seenx=2; SEEN=3; seen; =seen").empty());
    CHECK(look("seen=").size() == 1);
    CHECK(look(";;; ; seen=a=b;").front() == "a=b");
    CHECK(look("seen=1;seen=2;seen=3;seen=4;seen=5").size() == kCookiesMax);
}

TEST_CASE("a source that throws has not answered, and the poller asks it again") {
    PollOptions poll;
    poll.retry_ms = 10;
    Stage stage(poll);
    stage.script->is_throwing = true;
    CHECK(wait_until(60s, [&] {
        CHECK(stage.poller->wait_for(token_at(1000), 1s).coverage == Coverage::position_unknown);
        return stage.poller->stats().unanswered >= 4;
    }));
    stage.script->is_throwing = false;
    CHECK(wait_until(60s, [&] {
        return stage.poller->wait_for(token_at(1000), 1s).coverage == Coverage::covered;
    }));
    // One that can be told for what to wait throws there, too.
    stage.script->is_throwing = true;
    CHECK(stage.poller->wait_for(token_at(2000), 60s).coverage == Coverage::position_unknown);
    CHECK(stage.script->waited_for == 2000);
}

TEST_CASE("a poller that is taken down while somebody asks ends at once") {
    for (int i = 0; i < 20; ++i) {
        Stage stage;
        stage.poller->wait_for(token_at(2000), 0ms);
    }
}
