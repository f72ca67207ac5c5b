#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "consumer/decode/event_decoder.hpp"
#include "consumer/decode/message_work.hpp"
#include "consumer/metrics/metrics.hpp"

namespace homeward::consumer {

/// Event types whose table refuses rows, by index into the catalog. A held type's messages go back
/// to their streams, so that all other types are written meanwhile. A held type is tried again once
/// a second with whatever has come; the first row that is committed ends the hold. Any thread.
class TypeHolds {
  public:
    TypeHolds(const Catalog& catalog, Metrics& metrics);

    /// Rows of the type were committed.
    void passed(int type);
    /// False: the type is held, and it is not time to try it again.
    bool may_try(int type);
    bool any() const { return held_count_.load(std::memory_order_relaxed) > 0; }
    /// The table refuses rows as a whole. Logged, and shown until a row passes.
    void hold(int type, const std::string& why);

    enum class Verdict : unsigned char {
        dead,   ///< the event's own fault: others of its type have passed since it failed first
        later,  ///< nobody knows yet; the message comes again
    };
    /// Of a row that was refused when no other row of its type was there to compare it with. After
    /// some tries its type is held.
    Verdict judge(int type, const MessageWork& work, const std::string& why);

  private:
    using SteadyClock = std::chrono::steady_clock;
    struct State {
        std::uint64_t passes = 0;
        bool is_held = false;
        std::string why;
        SteadyClock::time_point tried{};
    };
    struct Failure {
        std::uint64_t passes;  ///< of the type, when it failed first
        int tries = 0;
    };
    using FailureKey = std::tuple<int, std::string, std::uint64_t>;  // type, stream, its seq

    void hold_locked(int type, const std::string& why);

    const Catalog& catalog_;
    Metrics& metrics_;
    std::atomic<int> held_count_{0};
    std::mutex mutex_;  // guards what follows
    std::vector<State> states_;
    std::map<FailureKey, Failure> failures_;
};

}  // namespace homeward::consumer
