#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "consumer/metrics/stage_clock.hpp"

namespace homeward::consumer {

/// What keeps more from being written per second.
enum class Limit : std::uint8_t {
    unknown,  ///< nothing has been measured yet
    source,   ///< there is no more to write
    network,  ///< messages wait in the streams while writers have time, or rows trickle in
    decode,   ///< this machine's processors
    leader_cpu,
    leader_locks,
    leader_disk,
    leader_standby,  ///< COMMIT waits for a synchronous standby
    leader_away,
    pause,  ///< an error that an operator must fix
};
/// "leader locks"
std::string_view to_string(Limit limit);

/// What a session of the leader was seen to be waiting for, or working on.
enum class Wait : std::uint8_t { cpu, lock, disk, standby, client, other };
inline constexpr std::size_t kWaits = 6;

/// How often the writers' sessions were seen in each; only such as are in a statement count.
struct LeaderWaits {
    std::array<std::size_t, kWaits> seen{};
    std::size_t sum() const;
    std::size_t operator[](Wait wait) const { return seen[static_cast<std::size_t>(wait)]; }
};

/// A short stretch of time, as it was measured.
struct LimitFacts {
    StageSeconds stages;                 ///< of all writers
    std::uint64_t waiting_messages = 0;  ///< that the streams have, and have had for a while
    LeaderWaits waits;
    std::string lock_holder;   ///< who holds the lock that a writer waits for; empty: nobody does
    std::string leader_error;  ///< empty: it answers
    bool is_paused = false;
};

struct LimitVerdict {
    Limit limit = Limit::unknown;
    std::string sentence;  ///< for an operator: what, how that was measured, what would help
};
LimitVerdict find_limit(const LimitFacts& facts);

}  // namespace homeward::consumer
