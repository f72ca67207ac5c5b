// Apps in containers that start anew, again and again: judged by journals, on the leader.
//
// Method: container.sh gives each start a fresh /dev/shm of 64 MB; the spool stays, as on a volume.
// The app (C++, C, Ruby) emits 2,000 events a second until it is killed at a random moment, 10
// times each (100 with HOMEWARD_FULL). Its lanes are gone then. What was accepted must be a row, or
// be reported; and no origin that lost events may count as complete. Needs root.

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kEventsPerSecond = 2'000;
/// Of a reported number over the true one, a kill: what one interval (20 ms) may accept, several
/// times over, since a busy machine stretches it.
constexpr std::uint64_t kExcessMax = 400;

class Container {
  public:
    explicit Container(Bridge& bridge) : bridge_(bridge) {
        std::filesystem::create_directories(bridge.dir() / "journal");
        std::filesystem::create_directories(bridge.dir() / "spool");
    }

    /// Starts it, lets it emit for so long, and kills it.
    void live(const std::string& language, int emitting_ms) {
        ++run_;
        Process container = start(command_of(language));
        const auto journal = bridge_.dir() / "journal" / (std::to_string(run_) + "-0");
        std::error_code error;
        const bool emits = wait_until(
            30s, [&] { return std::filesystem::file_size(journal, error) > 0 && !error; });
        INFO(log());
        REQUIRE(emits);
        sleep_ms(emitting_ms);
        kill(container);
    }
    /// Sends what is left, and ends.
    int drain() {
        ++run_;
        Process container =
            start({HOMEWARD_EMITTER_PROGRAM, bridge_.leaf().url(), bridge_.dir() / "spool",
                   bridge_.dir() / "journal", std::to_string(run_), "0", "0"});
        return container.wait(60s);
    }
    std::string log() const { return read_file(bridge_.dir() / "container.log"); }

    std::string lane_dir;  ///< of emitters in C++; empty: the default

  private:
    std::vector<std::string> command_of(const std::string& language) const {
        std::vector<std::string> words{HOMEWARD_EMITTER_PROGRAM};
        if (language == "c") words = {HOMEWARD_C_EMITTER_PROGRAM};
        if (language == "ruby") words = {"ruby", HOMEWARD_RUBY_EMITTER};
        words.insert(words.end(), {bridge_.leaf().url(), bridge_.dir() / "spool",
                                   bridge_.dir() / "journal", std::to_string(run_)});
        if (language == "c++") words.push_back("4");
        words.push_back(
            std::to_string(language == "c++" ? kEventsPerSecond / 4 : kEventsPerSecond));
        return words;
    }
    Process start(std::vector<std::string> command) const {
        ProcessOptions options;
        options.log = bridge_.dir() / "container.log";
        options.environment = {{"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
                               {"RUBYLIB", HOMEWARD_RUBY_DIR},
                               {"EMITTER_LANE_DIR", lane_dir}};
        command.insert(command.begin(), {HOMEWARD_CONTAINER_SCRIPT, bridge_.dir().path()});
        return Process(command, options);
    }
    /// Its first process: with that, the kernel ends all that is in it.
    static void kill(Process& container) {
        const std::string pid = std::to_string(container.pid());
        std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
        pid_t first = -1;
        children >> first;
        REQUIRE(first > 0);
        ::kill(first, SIGKILL);
        CHECK(container.wait(10s) != -1);
    }

    Bridge& bridge_;
    int run_ = 0;
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
    if (::geteuid() != 0) {
        WARN("not tried: needs root");
        return;
    }
    std::mt19937_64 random(announced_seed());
    const auto moment_ms = [&] { return 50 + static_cast<int>(random() % 400); };
    Bridge bridge;
    bridge.start_consumer();
    Container container(bridge);
    Load load(bridge);

    // Lanes inside the spool.
    container.lane_dir = bridge.dir() / "spool" / "lanes";
    for (int i = 0; i < rounds(4, 40); ++i) container.live("c++", moment_ms());
    CHECK(container.drain() == 0);
    CHECK(arrives(bridge));
    const Verdict whole = load.verdict();
    INFO(whole.to_string());
    CHECK(whole.is_clean());
    CHECK(whole.accepted > 0);
    CHECK(number(bridge, "SELECT count(*) FROM homeward.tombstone") == 0);

    // Lanes in /dev/shm.
    container.lane_dir = "";
    std::uint64_t kills = 0;
    for (const char* language : {"c++", "c", "ruby"}) {
        for (int i = 0; i < rounds(10, 100); ++i, ++kills) container.live(language, moment_ms());
    }
    CHECK(container.drain() == 0);
    CHECK(arrives(bridge));
    const Verdict verdict = load.verdict();
    const std::uint64_t reported =
        number(bridge, "SELECT coalesce(sum(seq_last - seq_first + 1), 0) FROM homeward.tombstone");
    INFO(verdict.to_string() << "\n" << container.log());
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
