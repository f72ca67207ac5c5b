#include <homeward/replay/counters.hpp>

namespace homeward::replay {
namespace {

/// A reason stands for one verdict, so that a series is either a replay or a refusal.
bool is_replay(Reason reason) {
    return reason < Reason::primary_is_read_only;
}

void append_head(std::string& text, std::string_view name, std::string_view help) {
    text.append("# HELP ").append(name).append(" ").append(help).append("\n");
    text.append("# TYPE ").append(name).append(" counter\n");
}

void append_value(std::string& text, std::string_view series, std::uint64_t value) {
    text.append(series).append(" ").append(std::to_string(value)).append("\n");
}

void append_reason(std::string& text, std::string_view name, Reason reason, std::uint64_t value) {
    std::string series(name);
    series.append("{reason=\"").append(name_of(reason)).append("\"}");
    append_value(text, series, value);
}

}  // namespace

void Counters::count(const Decision& decision) noexcept {
    const auto reason = static_cast<std::size_t>(decision.reason);
    if (decision.verdict == Verdict::replay) add(replayed_[reason]);
    if (decision.verdict == Verdict::refuse) add(refused_[reason]);
}

std::uint64_t Counters::stale_avoided() const noexcept {
    return waited() + replayed(Reason::replica_behind) + replayed(Reason::different_timeline) +
           replayed(Reason::position_unknown);
}

std::string Counters::prometheus() const {
    constexpr std::string_view kReplayed = "homeward_replay_replayed_total";
    constexpr std::string_view kRefused = "homeward_replay_refused_total";
    std::string text;
    append_head(text, kReplayed, "Requests sent on to the primary region.");
    for (std::size_t i = 1; i < kReasons; ++i) {
        const auto reason = static_cast<Reason>(i);
        if (is_replay(reason)) append_reason(text, kReplayed, reason, replayed(reason));
    }
    append_head(text, kRefused, "Requests answered with an error, since a replay would not help.");
    for (std::size_t i = 1; i < kReasons; ++i) {
        const auto reason = static_cast<Reason>(i);
        if (!is_replay(reason)) append_reason(text, kRefused, reason, refused(reason));
    }
    append_head(text, "homeward_replay_waited_total",
                "Reads that waited for the replica and were then served in their region.");
    append_value(text, "homeward_replay_waited_total", waited());
    append_head(text, "homeward_replay_stale_avoided_total",
                "Reads that could have been stale: they waited, or went to the primary region.");
    append_value(text, "homeward_replay_stale_avoided_total", stale_avoided());
    return text;
}

}  // namespace homeward::replay
