#pragma once

#include <atomic>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <homeward/replay/session_consistency.hpp>

namespace homeward::testing {

/// What came of writes that were each followed by a read.
struct PairCount {
    std::atomic<int> pairs{0};
    std::atomic<int> stale{0};
    std::atomic<int> here{0};      ///< served by the replica
    std::atomic<int> replayed{0};  ///< served by the leader
};

/// One session of an app, over connections of its own. One thread.
struct PairSession {
    std::function<replay::Position(int n)> write;  ///< on the leader
    std::function<int()> read_replica;
    std::function<int()> read_leader;
};

inline replay::Decision decide_read(const replay::ReadAnswer& answer) {
    replay::Situation situation;
    situation.method = "GET";
    situation.coverage = answer.coverage;
    return decide(situation, {"scl", "ams"});
}

/// As a browser sends it back.
inline std::string cookie_of(const replay::SessionConsistency& reads,
                             const replay::Position& seen) {
    const std::string cookie = reads.set_cookie(seen);
    return cookie.substr(0, cookie.find(';'));
}

/// Writes 1 to `pairs`, and reads each where SessionConsistency and decide() send it.
inline void write_and_read(const replay::SessionConsistency& reads, const PairSession& session,
                           int pairs, replay::ReadMode mode, PairCount& count) {
    for (int n = 1; n <= pairs; ++n) {
        const std::string cookie = cookie_of(reads, session.write(n));
        const bool is_here =
            decide_read(reads.ask(cookie, mode)).verdict == replay::Verdict::proceed;
        ++(is_here ? count.here : count.replayed);
        count.stale += (is_here ? session.read_replica() : session.read_leader()) != n;
        ++count.pairs;
    }
}

/// Several sessions at once, while `disturb` is called again and again.
inline void run_pairs(const replay::SessionConsistency& reads,
                      const std::function<PairSession(int id)>& make_session, int sessions,
                      int pairs, const std::function<void()>& disturb, PairCount& count) {
    std::atomic<bool> is_done{false};
    std::thread disturber([&] {
        while (!is_done) disturb();
    });
    std::vector<std::thread> threads;
    for (int id = 1; id <= sessions; ++id) {
        threads.emplace_back([&, id] {
            write_and_read(reads, make_session(id), pairs, replay::ReadMode::session, count);
        });
    }
    for (std::thread& thread : threads) thread.join();
    is_done = true;
    disturber.join();
}

}  // namespace homeward::testing
