#include "consumer/status/bottleneck.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace homeward::consumer {
namespace {

std::string percent(double part, double whole) {
    return std::to_string(whole > 0 ? std::lround(100 * part / whole) : 0) + " %";
}

LimitVerdict idle(const LimitFacts& facts) {
    const std::string busy =
        "writers are busy " +
        percent(facts.stages.sum() - facts.stages[Stage::wait], facts.stages.sum()) +
        " of the time";
    if (facts.waiting_messages == 0) {
        return {Limit::source, "The source: " + busy + ", and no message waits in a stream."};
    }
    return {Limit::network,
            "The network to NATS: " + std::to_string(facts.waiting_messages) +
                " messages wait in the streams while " + busy +
                "; a wider or shorter way, or larger pull.messages_max would help."};
}

Wait commonest(const LeaderWaits& waits) {
    const auto most = std::max_element(waits.seen.begin(), waits.seen.end());
    return static_cast<Wait>(most - waits.seen.begin());
}

/// What the leader's own sessions say, when it could be asked.
LimitVerdict leader(const LimitFacts& facts, const std::string& busy) {
    const LeaderWaits& waits = facts.waits;
    const std::string share =
        percent(static_cast<double>(waits[commonest(waits)]), static_cast<double>(waits.sum()));
    switch (waits.sum() == 0 ? Wait::other : commonest(waits)) {
        case Wait::cpu:
            return {Limit::leader_cpu,
                    "The leader's CPU: " + busy + ", and its sessions work " + share +
                        " of that; fewer indexes or triggers on the event tables would help."};
        case Wait::lock:
            return {Limit::leader_locks,
                    "Leader locks: writers' sessions wait " + share + " of the time for a lock" +
                        (facts.lock_holder.empty() ? "" : " that is held by " + facts.lock_holder) +
                        "; it must end, or take a weaker one."};
        case Wait::disk:
            return {Limit::leader_disk, "The leader's disk: " + busy + ", and its sessions wait " +
                                            share + " of that for it; larger batches would help."};
        case Wait::standby:
            return {Limit::leader_standby,
                    "The leader's synchronous standby: COMMIT waits for it " + share +
                        " of the time; larger batches or more writers would help."};
        case Wait::client:
            return {Limit::network, "The network to the leader: " + busy +
                                        ", and its sessions wait " + share +
                                        " of that for rows; a consumer nearer to it would help."};
        case Wait::other:
            break;
    }
    return {Limit::leader_cpu, "The leader: " + busy + ", and its sessions cannot be seen."};
}

}  // namespace

std::string_view to_string(Limit limit) {
    switch (limit) {
        case Limit::unknown:
            return "unknown";
        case Limit::source:
            return "source";
        case Limit::network:
            return "network";
        case Limit::decode:
            return "decode";
        case Limit::leader_cpu:
            return "leader CPU";
        case Limit::leader_locks:
            return "leader locks";
        case Limit::leader_disk:
            return "leader disk";
        case Limit::leader_standby:
            return "leader standby";
        case Limit::leader_away:
            return "leader away";
        case Limit::pause:
            return "pause";
    }
    return "unknown";
}

std::size_t LeaderWaits::sum() const {
    return std::accumulate(seen.begin(), seen.end(), std::size_t{0});
}

LimitVerdict find_limit(const LimitFacts& facts) {
    const double whole = facts.stages.sum();
    if (facts.is_paused) {
        return {Limit::pause, "An error that an operator must fix: writing pauses, see the log."};
    }
    if (!facts.leader_error.empty()) {
        return {Limit::leader_away, "The leader cannot be asked: " + facts.leader_error + "."};
    }
    if (whole <= 0) return {Limit::unknown, "Nothing has been measured yet."};
    const double decode = facts.stages[Stage::decode];
    const double waiting = facts.stages[Stage::wait];
    const double on_leader = whole - decode - waiting;
    if (waiting >= whole / 2) return idle(facts);
    if (decode >= on_leader) {
        return {Limit::decode, "Decoding on this machine: " + percent(decode, whole - waiting) +
                                   " of the writers' busy time; more processors, or a consumer on "
                                   "another machine would help."};
    }
    return leader(facts, "writers are at the leader " + percent(on_leader, whole) + " of the time");
}

}  // namespace homeward::consumer
