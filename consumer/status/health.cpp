#include "consumer/status/health.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <map>

namespace homeward::consumer {
namespace {

/// As the alert HomewardStale in deploy/monitoring.
constexpr double kFreshMaxS = 10;

std::string counted(std::uint64_t count, const char* one, const char* many) {
    return std::to_string(count) + " " + (count == 1 ? one : many);
}

/// A look at a stream may be lost; a region that misses several is away.
constexpr auto kAwayMin = std::chrono::seconds(6);
/// As the alert HomewardLeafFilling.
constexpr double kFullShare = 0.7;

std::string clock_time(std::chrono::system_clock::time_point time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
    return text.data();
}

struct AwayRegion {
    std::chrono::system_clock::time_point since = std::chrono::system_clock::time_point::max();
    std::uint64_t known = 0;
};

std::map<std::string, AwayRegion> away_regions(const Metrics& metrics,
                                               const std::vector<Stream>& streams) {
    const auto statuses = metrics.stream_statuses();
    const auto now = std::chrono::system_clock::now();
    std::map<std::string, AwayRegion> away;
    for (const Stream& stream : streams) {
        const auto status = statuses.find(stream.name);
        if (status == statuses.end() || status->second.is_up) continue;
        if (now - status->second.since < kAwayMin) continue;
        AwayRegion& region = away[stream.region];
        region.since = std::min(region.since, status->second.since);
        region.known += status->second.last.pending + status->second.last.unacknowledged;
    }
    return away;
}

void add_regions(std::vector<Reason>& reasons, const Metrics& metrics,
                 const std::vector<Stream>& streams) {
    for (const auto& [region, away] : away_regions(metrics, streams)) {
        reasons.push_back(
            {Health::act,
             "Region " + region + " has not answered since " + clock_time(away.since) + "; " +
                 counted(away.known, "message was", "messages were") +
                 " known to wait there. Its apps still emit.",
             "start that region's NATS and its link to the hub; homeward-consumer check says "
             "what it finds"});
    }
}

void add_streams(std::vector<Reason>& reasons, const Metrics& metrics) {
    for (const auto& [stream, backlog] : metrics.backlogs()) {
        if (backlog.undeliverable > 0) {
            reasons.push_back({Health::act,
                               counted(backlog.undeliverable, "message", "messages") + " of " +
                                   stream + " will never be delivered.",
                               "RUNBOOK, undeliverable messages: after a downgrade of "
                               "nats-server, or with a limited max_deliver"});
        }
        if (backlog.max_deliver > 0) {
            reasons.push_back({Health::act,
                               "The durable of " + stream + " gives a message up after " +
                                   counted(backlog.max_deliver, "delivery", "deliveries") + ".",
                               "homeward-consumer streams apply"});
        }
        const double share = backlog.bytes_max == 0 ? 0
                                                    : static_cast<double>(backlog.bytes) /
                                                          static_cast<double>(backlog.bytes_max);
        if (share > kFullShare) {
            reasons.push_back({Health::look,
                               stream + " is " + std::to_string(std::lround(100 * share)) +
                                   " % full; when it is full, events wait in the apps.",
                               "RUNBOOK, a full leaf"});
        }
    }
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
                                 bool is_nats_connected, const std::vector<Stream>& streams) {
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
    // Without a connection no region can answer.
    if (is_nats_connected) add_regions(reasons, metrics, streams);
    add_streams(reasons, metrics);
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
        } else if (hold.kind == "stream") {
            add(true, Health::act, "Nothing of " + hold.name + " is consumed: " + hold.why + ".",
                "homeward-consumer streams apply, unless it is there again in some seconds");
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
