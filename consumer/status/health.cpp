#include "consumer/status/health.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <map>

#include "consumer/base/printed_commands.hpp"

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
    std::uint64_t messages = 0;  // when it last answered
    double events = 0;           // in them, by the mean of their streams
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
        const std::uint64_t messages =
            status->second.last.pending + status->second.last.unacknowledged;
        region.messages += messages;
        region.events += static_cast<double>(messages) * metrics.events_per_message(stream.name);
    }
    return away;
}

std::string known_to_wait(const AwayRegion& away) {
    std::string text = counted(away.messages, "message", "messages");
    if (away.messages > 0 && away.events > 0) {
        text += " with about " +
                counted(static_cast<std::uint64_t>(std::llround(away.events)), "event", "events");
    }
    return text + (away.messages == 1 ? " was" : " were") + " known to wait there";
}

void add_regions(std::vector<Reason>& reasons, const Metrics& metrics,
                 const std::vector<Stream>& streams) {
    for (const auto& [region, away] : away_regions(metrics, streams)) {
        Reason reason{Health::act, "region " + region + " does not answer",
                      "Region " + region + " has not answered since " + clock_time(away.since) +
                          "; " + known_to_wait(away) +
                          ". Its apps still emit, and their events wait in that region.",
                      "Start that region's NATS and its link to the hub; what waits then comes by "
                      "itself. This says what is wrong:",
                      command::kCheck};
        reason.has_own_log_line = true;
        reasons.push_back(std::move(reason));
    }
}

void add_streams(std::vector<Reason>& reasons, const Metrics& metrics) {
    for (const auto& [stream, backlog] : metrics.backlogs()) {
        if (backlog.undeliverable > 0) {
            reasons.push_back({Health::act, "messages of " + stream + " are undeliverable",
                               counted(backlog.undeliverable, "message", "messages") + " of " +
                                   stream + " will never be delivered.",
                               "RUNBOOK, undeliverable messages: after a downgrade of "
                               "nats-server, or with a limited max_deliver",
                               ""});
        }
        if (backlog.max_deliver > 0) {
            reasons.push_back({Health::act, "the durable of " + stream + " gives messages up",
                               "The durable of " + stream + " gives a message up after " +
                                   counted(backlog.max_deliver, "delivery", "deliveries") + ".",
                               "", command::kStreamsApply});
        }
        const double share = backlog.bytes_max == 0 ? 0
                                                    : static_cast<double>(backlog.bytes) /
                                                          static_cast<double>(backlog.bytes_max);
        if (share > kFullShare) {
            reasons.push_back(
                {Health::look, stream + " is filling up",
                 stream + " is " + std::to_string(std::lround(100 * share)) + " % full, with " +
                     counted(backlog.pending + backlog.unacknowledged, "message", "messages") +
                     " waiting; when it is full, events wait in the apps.",
                 "RUNBOOK, full leaf: does the consumer reach the leader?", command::kCheck});
        }
    }
}

void add_holds(std::vector<Reason>& reasons, const Metrics& metrics) {
    for (const Metrics::Hold& hold : metrics.holds()) {
        Reason reason{Health::act, "", "", "", ""};
        if (hold.kind == "type") {
            reason.title = "events of type " + hold.name + " are held";
            reason.text = "Events of type " + hold.name + " are held since " +
                          clock_time(hold.since) + ", all others flow: " + hold.why + ".";
            reason.remedy =
                "Mend the table; writing goes on by itself when it takes rows again. This names "
                "what is wrong with it:";
            reason.command = command::kCheck;
        } else if (hold.kind == "stream") {
            reason.title = hold.name + " is not consumed";
            reason.text = "Nothing of " + hold.name + " is consumed since " +
                          clock_time(hold.since) + ": " + hold.why + ".";
            reason.remedy = "Unless it is there again in some seconds:";
            reason.command = command::kStreamsApply;
        } else if (hold.kind == "publishers") {
            reason.title = "new publishers of " + hold.name + " are held";
            reason.text = "New publishers of " + hold.name + " are held since " +
                          clock_time(hold.since) + ", everything else flows: " + hold.why + ".";
            reason.remedy =
                "Find what starts so many processes or makes up publisher ids; or raise "
                "ledger.new_origins_max and restart. What is held waits in its stream.";
        } else if (hold.kind == "newer_frames") {
            reason.title = "frames of a newer version of " + hold.name + " are held";
            reason.text = "Frames of a newer version of " + hold.name + " are held since " +
                          clock_time(hold.since) + ", everything else flows: " + hold.why + ".";
            reason.remedy =
                "Upgrade this consumer, or set frame_version back in that app. RUNBOOK, an app "
                "sends frames of a newer version: what to do if nobody upgraded it.";
        } else {
            reason.title = "bad events of " + hold.name + " are held";
            reason.text = "Bad events of " + hold.name + " are held since " +
                          clock_time(hold.since) + ", all others flow: " + hold.why + ".";
            reason.remedy =
                "Mend what sends them; or raise batch.bad_events_max and reload, to make dead "
                "letters of them.";
        }
        reason.has_own_log_line = true;
        reasons.push_back(std::move(reason));
    }
}

/// What stops all writing.
void add_outages(std::vector<Reason>& reasons, const Metrics& metrics, Limit limit,
                 bool is_nats_connected) {
    const auto add = [&](bool is_so, Reason reason) {
        reason.has_own_log_line = true;
        if (is_so) reasons.push_back(std::move(reason));
    };
    add(metrics.paused,
        {Health::act, "writing pauses",
         "Writing pauses because of an error that an operator must fix; events wait "
         "in their streams.",
         "The log names it. This names what is wrong with the leader:", command::kCheck});
    add(!is_nats_connected,
        {Health::act, "no connection to NATS",
         "There is no connection to NATS; events wait where they are.", "", command::kCheck});
    add(limit == Limit::leader_away || !metrics.leader_up,
        {Health::act, "the leader does not answer",
         "The leader does not answer, or takes no writes; events wait in their streams.", "",
         command::kCheck});
}

void add_ledger(std::vector<Reason>& reasons, const Metrics& metrics) {
    const auto add = [&](bool is_so, Reason reason) {
        if (is_so) reasons.push_back(std::move(reason));
    };
    add(metrics.holes_missing > 0,
        {Health::act, "events are missing",
         counted(metrics.holes_missing, "event is", "events are") +
             " missing: accepted, not on the leader, and nobody sends them.",
         "Start the app of that origin again with its spool. This names them:", command::kProof});
    add(metrics.quota_full,
        {Health::act, "no room for dead letters", "There is no room for dead letters.",
         "Redrive or discard them, or raise dead_letters.letters_max.", command::kDeadLettersList});
    add(metrics.letters_open > 0,
        {Health::look, "dead letters wait",
         counted(metrics.letters_open, "dead letter waits", "dead letters wait") +
             " for an operator.",
         "", command::kDeadLettersList});
    add(metrics.conflicts > 0,
        {Health::look, "frames are quarantined",
         counted(metrics.conflicts, "frame was", "frames were") +
             " at odds with the ledger and quarantined.",
         "Find out who sends them, then accept or discard.", command::kConflictsList});
}

void add_late(std::vector<Reason>& reasons, const Freshness& freshness) {
    for (const auto& [key, fresh] : freshness) {
        if (fresh.p99_s <= kFreshMaxS) continue;
        const std::string name = key.second + " of " + key.first;
        reasons.push_back({Health::look, name + " is late",
                           name + " reaches the leader after " +
                               std::to_string(std::lround(fresh.p99_s)) +
                               " s (p99 of the last minute).",
                           "What limits the system stands above; after an outage this ends by "
                           "itself.",
                           ""});
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

std::vector<Reason> find_reasons(const Metrics& metrics, const Freshness& fresh, Limit limit,
                                 bool is_nats_connected, const std::vector<Stream>& streams) {
    std::vector<Reason> reasons;
    add_outages(reasons, metrics, limit, is_nats_connected);
    // Without a connection no region can answer.
    if (is_nats_connected) add_regions(reasons, metrics, streams);
    add_streams(reasons, metrics);
    add_holds(reasons, metrics);
    add_ledger(reasons, metrics);
    if (limit == Limit::leader_locks) {
        reasons.push_back({Health::look, "writers wait for a lock",
                           "Writers wait for a lock on the leader.",
                           "Who holds it stands above: it must end, or take a weaker one.", ""});
    }
    add_late(reasons, fresh);
    std::stable_sort(reasons.begin(), reasons.end(),
                     [](const Reason& a, const Reason& b) { return a.health > b.health; });
    return reasons;
}

std::string headline_of(const std::vector<Reason>& reasons) {
    if (reasons.empty()) return "All is well";
    std::string headline =
        reasons.front().health == Health::act ? "Needs action: " : "Worth a look: ";
    headline += reasons.front().title;
    if (reasons.size() > 1) headline += ", and " + std::to_string(reasons.size() - 1) + " more";
    return headline;
}

Health worst_of(const std::vector<Reason>& reasons) {
    return reasons.empty() ? Health::good : reasons.front().health;
}

}  // namespace homeward::consumer
