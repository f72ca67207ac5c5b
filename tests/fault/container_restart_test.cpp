// Apps in containers that start anew, again and again: judged by journals, on the leader.
//
// Method: container.sh gives each start a fresh /dev/shm of 64 MB; the spool stays, as on a volume.
// Apps in C++, C and Ruby side by side emit 2,000 events a second each until they are killed at a
// random moment, 10 times each (100 with HOMEWARD_FULL). Its lanes are gone then. What was accepted
// must be a row, or be reported; and no origin that lost events may count as complete. Needs root.

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <random>
#include <thread>

#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kEventsPerSecond = 2'000;
/// Of a reported number over the true one, a kill: what one interval (20 ms) may accept, several
/// times over, since a busy machine stretches it.
constexpr std::uint64_t kExcessMax = 400;

/// An app of one language, whose spool outlives its containers. One thread.
class App {
  public:
    /// `first_run`: numbers of its journals, which no other app's may have.
    App(Bridge& bridge, const std::string& language, int first_run)
        : bridge_(bridge), language_(language), run_(first_run) {
        std::filesystem::create_directories(bridge.dir() / "journal");
        std::filesystem::create_directories(spool());
    }

    /// Starts a container, lets it emit for so long, and kills it. Empty, or what went wrong.
    std::string live(int emitting_ms) {
        ++run_;
        Process container = start(command());
        const auto journal = bridge_.dir() / "journal" / (std::to_string(run_) + "-0");
        std::error_code error;
        const bool emits = wait_until(
            30s, [&] { return std::filesystem::file_size(journal, error) > 0 && !error; });
        if (!emits) return language_ + " emits nothing:\n" + log();
        sleep_ms(emitting_ms);
        return kill(container) ? "" : language_ + ": its container has no first process";
    }
    std::string live_and_die(int lives, std::uint64_t seed) {
        std::mt19937_64 random(seed);
        for (int i = 0; i < lives; ++i) {
            std::string problem = live(50 + static_cast<int>(random() % 400));
            if (!problem.empty()) return problem;
        }
        return "";
    }
    /// Sends what is left, and ends.
    int drain() {
        ++run_;
        Process container = start({HOMEWARD_EMITTER_PROGRAM, bridge_.leaf().url(), spool(),
                                   bridge_.dir() / "journal", std::to_string(run_), "0", "0"});
        return container.wait(60s);
    }
    std::filesystem::path spool() const { return bridge_.dir() / ("spool-" + language_); }
    std::string log() const { return read_file(log_file()); }

    std::string lane_dir;  ///< of emitters in C++; empty: the default

  private:
    std::filesystem::path log_file() const { return bridge_.dir() / (language_ + ".log"); }
    std::vector<std::string> command() const {
        std::vector<std::string> words{HOMEWARD_EMITTER_PROGRAM};
        if (language_ == "c") words = {HOMEWARD_C_EMITTER_PROGRAM};
        if (language_ == "ruby") words = {"ruby", HOMEWARD_RUBY_EMITTER};
        words.insert(words.end(), {bridge_.leaf().url(), spool(), bridge_.dir() / "journal",
                                   std::to_string(run_)});
        const int threads = language_ == "c++" ? 4 : 1;
        if (threads > 1) words.push_back(std::to_string(threads));
        words.push_back(std::to_string(kEventsPerSecond / threads));
        return words;
    }
    Process start(std::vector<std::string> command) const {
        ProcessOptions options;
        options.log = log_file();
        options.environment = {{"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
                               {"RUBYLIB", HOMEWARD_RUBY_DIR},
                               {"EMITTER_LANE_DIR", lane_dir}};
        command.insert(command.begin(), {HOMEWARD_CONTAINER_SCRIPT, bridge_.dir().path()});
        return Process(command, options);
    }
    /// Its first process: with that, the kernel ends all that is in it.
    static bool kill(Process& container) {
        const std::string pid = std::to_string(container.pid());
        std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
        pid_t first = -1;
        children >> first;
        if (first <= 0) return false;
        ::kill(first, SIGKILL);
        return container.wait(10s) != -1;
    }

    Bridge& bridge_;
    std::string language_;
    int run_;
};

std::uint64_t number(Bridge& bridge, const std::string& query) {
    return static_cast<std::uint64_t>(bridge.leader().number(query));
}

bool arrives(Bridge& bridge) {
    return wait_until(60s, [&] {
        return number(bridge, "SELECT coalesce(sum(in_flight + missing), 0) FROM homeward.proof") ==
               0;
    });
}

void judge_proof(Bridge& bridge, const Verdict& verdict, std::uint64_t reported) {
    CHECK(number(bridge, "SELECT coalesce(sum(duplicated), 0) FROM homeward.proof") == 0);
    CHECK(number(bridge, "SELECT coalesce(sum(committed), 0) FROM homeward.proof") == verdict.rows);
    CHECK(number(bridge, "SELECT coalesce(sum(tombstoned), 0) FROM homeward.proof") == reported);
    CHECK(number(bridge,
                 "SELECT count(*) FROM homeward.proof p WHERE state = 'complete' AND EXISTS"
                 " (SELECT FROM homeward.tombstone t WHERE t.origin = p.origin)") == 0);
}

}  // namespace

TEST_CASE("a container that starts anew loses nothing, or says how much") {
    if (::geteuid() != 0) return skip("needs root");
    const std::uint64_t seed = announced_seed();
    Bridge bridge;
    bridge.start_consumer();
    Load load(bridge);

    // Lanes inside the spool.
    App careful(bridge, "c++", 0);
    careful.lane_dir = careful.spool() / "lanes";
    CHECK(careful.live_and_die(rounds(4, 40), seed) == "");
    CHECK(careful.drain() == 0);
    CHECK(arrives(bridge));
    const Verdict whole = load.verdict();
    INFO(whole.to_string());
    CHECK(whole.is_clean());
    CHECK(whole.accepted > 0);
    CHECK(number(bridge, "SELECT count(*) FROM homeward.tombstone") == 0);

    // Lanes in /dev/shm; three apps side by side, each with a spool of its own.
    App apps[] = {{bridge, "c++", 1'000}, {bridge, "c", 2'000}, {bridge, "ruby", 3'000}};
    const int lives = rounds(10, 100);
    const std::uint64_t kills = 3 * static_cast<std::uint64_t>(lives);
    std::string problems[3];
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 3; ++i) {
        threads.emplace_back([&, i] { problems[i] = apps[i].live_and_die(lives, seed + 1 + i); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::string& problem : problems) CHECK(problem == "");
    for (App& app : apps) CHECK(app.drain() == 0);
    CHECK(arrives(bridge));
    const Verdict verdict = load.verdict();
    const std::uint64_t reported =
        number(bridge, "SELECT coalesce(sum(seq_last - seq_first + 1), 0) FROM homeward.tombstone");
    INFO(verdict.to_string() << "\n" << apps[0].log() << apps[1].log() << apps[2].log());
    std::printf("%llu restarts: %llu of %llu accepted events lost, %llu reported; %s\n",
                static_cast<unsigned long long>(kills),
                static_cast<unsigned long long>(verdict.lost_count),
                static_cast<unsigned long long>(verdict.accepted),
                static_cast<unsigned long long>(reported), verdict.to_string().c_str());
    CHECK(verdict.lost_count <= reported);
    CHECK(reported <= verdict.lost_count + kills * kExcessMax);
    CHECK(reported > 0);  // else no kill met a lane that held events, and nothing was tested
    CHECK(verdict.doubled.empty());
    CHECK(verdict.altered.empty());
    CHECK(verdict.invented.empty());
    CHECK(number(bridge, "SELECT count(*) FROM homeward.tombstone WHERE reason <> 'lanes_lost'") ==
          0);
    judge_proof(bridge, verdict, reported);
    CHECK(bridge.stop_consumer() == 0);
}
