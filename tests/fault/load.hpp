#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "tests/support/journal.hpp"
#include "tests/support/servers/bridge.hpp"

namespace homeward::testing {

/// The app side of a fault test: an emitter under load on a bridge, its journals, and the
/// judgement at the end. One thread.
class Load {
  public:
    struct Options {
        int threads = 8;
        int events_per_second = 500;  ///< of each thread
    };
    explicit Load(Bridge& bridge) : Load(bridge, Options{}) {}
    Load(Bridge& bridge, Options options) : bridge_(bridge), options_(options) {}

    void start();
    void kill() { emitter_.kill(); }
    /// SIGTERM; the exit code is 0 when all was acknowledged by the stream.
    int stop() { return emitter_.stop(std::chrono::seconds(40)); }
    /// A last run that sends what dead ones have left.
    int send_what_was_left();
    /// Rows and dead letters on the leader against the journals.
    Verdict verdict() const;
    std::string log() const { return read_file(bridge_.dir() / "emitter.log"); }

  private:
    Process spawn(int threads);

    Bridge& bridge_;
    Options options_;
    int runs_ = 0;
    Process emitter_;
};

/// The seed of this run's random moments: HOMEWARD_SEED, or a fresh one; printed either way.
std::uint64_t announced_seed();

/// False: this is a run over packed_types/ (CMakeLists.txt), and the leader has no pack of it.
bool has_packs_if_packed(const PostgresServer& leader);

/// `minimum` in the short run, HOMEWARD_FULL=1 asks for `full`.
int rounds(int minimum, int full);

}  // namespace homeward::testing
