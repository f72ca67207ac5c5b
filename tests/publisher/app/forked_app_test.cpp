// An App that was made before fork(): what works in a child, and what the child must not touch.
//
// Method: the child reports by its exit code; SIGALRM ends a child that hangs.

#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <homeward/app.hpp>

#include <audit.event.hpp>

#include "tests/publisher/app/environment.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;

namespace {

constexpr unsigned kSecondsMax = 60;
constexpr replay::Lsn kReplayed = 1000;

events::Audit order_view() {
    events::Audit event;
    event.actor = "user:42";
    event.action = "order.view";
    event.resource = "order:1234";
    event.outcome = events::Audit::Outcome::allowed;
    return event;
}

/// A replica that stands still, and tells which process closes the connection to it.
class StillReplica : public replay::PositionSource {
  public:
    explicit StillReplica(std::function<void()> on_close) : on_close_(std::move(on_close)) {}
    ~StillReplica() override { on_close_(); }
    std::optional<replay::ReplicaPosition> ask() override {
        return replay::ReplicaPosition{{7, 1, kReplayed}, replay::ServerRole::standby};
    }

  private:
    std::function<void()> on_close_;
};

AppOptions options_with(std::function<void()> on_close) {
    AppOptions options;
    options.on_log = [](std::string_view) {};
    options.replay.reads.wait_max_ms = 10'000;
    options.replay.position_source = [on_close = std::move(on_close)](const std::string&) {
        return std::make_unique<StillReplica>(on_close);
    };
    return options;
}

/// The status of the helper's own answer to a read of a session; 0 if the handler's goes out.
int status(const App& app, replay::Lsn seen) {
    replay::HandlerResult written;
    app.replay().remember({7, 1, seen}, written);
    const replay::RequestView request{"GET", "/orders", 0, [&](std::string_view name) {
                                          return name == replay::kSeenHeader ? written.seen_token
                                                                             : std::string();
                                      }};
    const replay::Outcome outcome =
        app.replay().request_handler().run(request, [](replay::HandlerResult&) {});
    return outcome.instead ? outcome.instead->status : 0;
}

int exit_code_of(const std::function<int()>& live) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(kSecondsMax);
        ::_exit(live());
    }
    int result = 0;
    ::waitpid(child, &result, 0);
    return WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result);
}

}  // namespace

TEST_CASE("a forked child's App emits, and sends sessions to the primary without waiting") {
    const Environment environment(kReplicaRegion);
    App app("shop", options_with([] {}));
    CHECK(status(app, kReplayed) == 0);  // the poller has asked
    const int code = exit_code_of([&] {
        if (app.publisher().emit(order_view()) != EmitResult::accepted) return 1;
        if (app.publisher().stats().audit.accepted != 1) return 2;
        const auto begin = std::chrono::steady_clock::now();
        if (status(app, kReplayed + 1) != 409) return 3;
        if (status(app, kReplayed) != 409) return 4;
        return std::chrono::steady_clock::now() - begin < std::chrono::seconds(10) ? 0 : 5;
    });
    CHECK(code == 0);
    CHECK(app.publisher().stats().audit.accepted == 0);
    CHECK(status(app, kReplayed) == 0);
}

TEST_CASE("a forked child may end its App, and leaves the parent's connection alone") {
    const Environment environment(kReplicaRegion);
    const pid_t parent = ::getpid();
    auto app = std::make_unique<App>("shop", options_with([parent] {
                                         if (::getpid() != parent) ::_exit(9);
                                     }));
    CHECK(exit_code_of([&] {
              app.reset();
              return 0;
          }) == 0);
    CHECK(status(*app, kReplayed) == 0);
}
