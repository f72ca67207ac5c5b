// Method: a real standby that waits for nobody (max_standby_streaming_delay = 0) runs a long read,
// while its leader vacuums away the rows that this read still has to see. The standby cancels it,
// in each of libpqxx's and libpq's ways to run it; the request then gets its answer from the
// leader.

#include <homeward/replay/libpq.hpp>
#include <homeward/replay/libpqxx.hpp>
#include <homeward/replay/request_handler.hpp>

#include <atomic>
#include <thread>

#include "tests/publisher/replay/session.hpp"
#include "tests/publisher/replay/ways.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

const char* const kLongRead = "SELECT pg_sleep(60), count(*) FROM note";

/// A leader, and a standby that cancels at once what stands in the way of its log.
struct Pair {
    Pair()
        : leader({"max_standby_streaming_delay = 0", "hot_standby_feedback = off",
                  "autovacuum = off"}) {
        leader.query("CREATE TABLE note (n int)");
        standby = PostgresServer::standby_of(leader);
    }
    bool has_conflicts(std::int64_t at_least) const {
        try {
            return standby->number("SELECT sum(confl_snapshot) FROM pg_stat_database_conflicts") >=
                   at_least;
        } catch (const std::runtime_error&) {
            return false;  // it was cancelled itself
        }
    }
    PostgresServer leader;
    std::unique_ptr<PostgresServer> standby;
};

/// Until it is destroyed, `leader` deletes rows and vacuums them away, again and again.
class Vacuum {
  public:
    explicit Vacuum(const PostgresServer& leader)
        : thread_([this, &leader] {
              const Session session(leader);
              while (!is_done_) {
                  session.ask("INSERT INTO note SELECT generate_series(1, 100)");
                  session.ask("DELETE FROM note");
                  session.ask("VACUUM note");
                  sleep_ms(50);
              }
          }) {}
    ~Vacuum() {
        is_done_ = true;
        thread_.join();
    }

  private:
    std::atomic<bool> is_done_{false};
    std::thread thread_;
};

std::string no_header(std::string_view) {
    return "";
}

}  // namespace

TEST_CASE("a read that the standby cancels for its log is told as one, in each way of running it") {
    const Pair pair;
    std::vector<Way> ways = libpqxx_ways(*pair.standby);
    for (Way& way : libpq_ways(*pair.standby)) ways.push_back(std::move(way));
    const Vacuum vacuum(pair.leader);
    for (const Way& way : ways) {
        const bool is_in_subtransaction = way.name == "subtransaction";
        std::string sqlstate = way.run(kLongRead);
        // A conflict between two statements ends the whole connection; then this is another try.
        for (int i = 0; i < 10 && sqlstate == "08006" && !is_in_subtransaction; ++i)
            sqlstate = way.run(kLongRead);
        INFO(way.name << ": " << sqlstate);
        // Inside of a subtransaction PostgreSQL ends the whole connection.
        CHECK((is_in_subtransaction ? sqlstate == "40001" || sqlstate == "08006"
                                    : sqlstate == "40001"));
    }
    CHECK(wait_until(
        30s, [&] { return pair.has_conflicts(static_cast<std::int64_t>(ways.size()) - 1); }));
}

TEST_CASE("what the standby has cancelled the primary region answers, and the app sees no error") {
    const Pair pair;
    RequestHandlerOptions options;
    options.cause_of = [](const std::exception& error) { return cause_of(error); };
    const RequestHandler ams({"scl", "ams"}, options);
    const RequestHandler scl({"scl", "scl"}, options);
    const RequestView request{"GET", "/report", 0, no_header};
    const auto report_from = [](const PostgresServer& server, const char* sql) {
        return [&server, sql](HandlerResult&) {
            pqxx::connection connection(server.url());
            pqxx::work(connection).exec(sql);
        };
    };
    const Vacuum vacuum(pair.leader);
    const Outcome from_standby = ams.run(request, report_from(*pair.standby, kLongRead));
    REQUIRE(from_standby.instead);
    CHECK(from_standby.instead->status == 409);
    CHECK(ams.counters().replayed(Reason::recovery_conflict) == 1);
    const char* const same_read = "SELECT pg_sleep(2), count(*) FROM note";
    CHECK_FALSE(scl.run(request, report_from(pair.leader, same_read)).instead);
}

TEST_CASE("a transaction between its reads that the standby ends is replayed as well") {
    const Pair pair;
    pqxx::connection connection(pair.standby->url());
    std::string sqlstate;
    try {
        using Snapshot = pqxx::transaction<pqxx::isolation_level::repeatable_read>;
        Snapshot transaction(connection);
        transaction.exec("SELECT count(*) FROM note");
        const Vacuum vacuum(pair.leader);
        REQUIRE(wait_until(30s, [&] { return pair.has_conflicts(1); }));
        transaction.exec("SELECT count(*) FROM note");
    } catch (const std::exception& error) {
        sqlstate = sqlstate_of(error);
    }
    INFO(sqlstate);
    Situation situation;
    situation.method = "GET";
    situation.has_handler_run = true;
    situation.cause = cause_of_sqlstate(sqlstate);
    CHECK(decide(situation, {"scl", "ams"}).verdict == Verdict::replay);
}
