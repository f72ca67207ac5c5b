#include "tests/fault/load.hpp"

#include <cstdio>
#include <cstdlib>

namespace homeward::testing {

using namespace std::chrono_literals;

Process Load::spawn(int threads) {
    ProcessOptions options;
    options.log = bridge_.dir() / "emitter.log";
    return Process({HOMEWARD_EMITTER_PROGRAM, bridge_.leaf().url(), bridge_.dir() / "spool",
                    bridge_.dir() / "journal", std::to_string(++runs_), std::to_string(threads),
                    std::to_string(options_.events_per_second)},
                   options);
}

void Load::start() {
    emitter_ = spawn(options_.threads);
}

int Load::send_what_was_left() {
    emitter_ = spawn(0);
    const int code = emitter_.wait(90s);
    if (code == -1) emitter_.kill();
    return code;
}

Verdict Load::verdict() const {
    std::vector<FoundRow> rows;
    for (const auto& row : bridge_.leader().query("SELECT resource, actor FROM audit_events")) {
        rows.push_back({row[0], hash_of(row[1])});
    }
    std::vector<std::string> dead;
    for (const auto& row :
         bridge_.leader().query("SELECT convert_from(payload, 'UTF8')::jsonb ->> 'resource'"
                                " FROM homeward.dead_letter WHERE state <> 'redriven'")) {
        dead.push_back(row[0]);
    }
    return judge(bridge_.dir() / "journal", rows, dead);
}

std::uint64_t announced_seed() {
    const char* given = std::getenv("HOMEWARD_SEED");
    const std::uint64_t seed =
        given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
    std::printf("seed: HOMEWARD_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

bool has_packs_if_packed(const PostgresServer& leader) {
    return std::getenv("HOMEWARD_SCHEMA_TYPES_DIR") == nullptr ||
           leader.number("SELECT count(*) FROM audit_events_packs") > 0;
}

int rounds(int minimum, int full) {
    return std::getenv("HOMEWARD_FULL") != nullptr ? full : minimum;
}

}  // namespace homeward::testing
