#include "consumer/status/health.hpp"

#include <algorithm>
#include <cmath>

namespace homeward::consumer {
namespace {

/// As the alert HomewardStale in deploy/monitoring.
constexpr double kFreshMaxS = 10;

std::string counted(std::uint64_t count, const char* one, const char* many) {
    return std::to_string(count) + " " + (count == 1 ? one : many);
}

}  // namespace

std::string_view to_string(Health health) {
    switch (health) {
        case Health::good:
            return "good";
        case Health::look:
            return "look";
        case Health::act:
            return "act";
    }
    return "act";
}

std::vector<Reason> find_reasons(const Metrics& metrics, const Moment& last, Limit limit,
                                 bool is_nats_connected) {
    std::vector<Reason> reasons;
    const auto add = [&](bool is_so, Health health, std::string text, std::string remedy) {
        if (is_so) reasons.push_back({health, std::move(text), std::move(remedy)});
    };
    add(metrics.paused, Health::act, "Writing pauses because of an error that a person must mend.",
        "the log names it; then homeward-consumer check");
    add(!is_nats_connected, Health::act, "There is no connection to NATS.",
        "homeward-consumer check; events wait where they are");
    add(limit == Limit::leader_away, Health::act, "The leader does not answer.",
        "homeward-consumer check; events wait in their streams");
    add(metrics.holes_missing > 0, Health::act,
        counted(metrics.holes_missing, "event is", "events are") +
            " missing: accepted, not on the leader, and nobody sends them.",
        "homeward-consumer proof; start the app of that origin again with its spool");
    add(metrics.letters_full, Health::act, "There is no room for dead letters.",
        "homeward-consumer dead-letters list; redrive or discard");
    for (const Metrics::Hold& hold : metrics.holds()) {
        if (hold.kind == "type") {
            add(true, Health::act,
                "Events of type " + hold.name + " are held, all others flow: " + hold.why + ".",
                "homeward-consumer check; it goes on by itself when the table takes rows again");
        } else {
            add(true, Health::act,
                "Bad events of " + hold.name + " are held, all others flow: " + hold.why + ".",
                "mend what sends them; or raise batch.bad_events_max and reload, to make dead "
                "letters of them");
        }
    }
    add(limit == Limit::leader_locks, Health::look, "Writers wait for a lock on the leader.", "");
    add(metrics.letters_open > 0, Health::look,
        counted(metrics.letters_open, "dead letter waits", "dead letters wait") + " for a person.",
        "homeward-consumer dead-letters list");
    add(metrics.conflicts > 0, Health::look,
        counted(metrics.conflicts, "frame was", "frames were") +
            " at odds with the ledger and kept aside.",
        "homeward-consumer conflicts list; accept or discard");
    for (const auto& [key, fresh] : last.fresh) {
        add(fresh.p99_s > kFreshMaxS, Health::look,
            key.second + " of " + key.first + " reaches the leader after " +
                std::to_string(std::lround(fresh.p99_s)) + " s (p99).",
            "");
    }
    std::stable_sort(reasons.begin(), reasons.end(),
                     [](const Reason& a, const Reason& b) { return a.health > b.health; });
    return reasons;
}

Health worst_of(const std::vector<Reason>& reasons) {
    return reasons.empty() ? Health::good : reasons.front().health;
}

}  // namespace homeward::consumer
