#include "publisher/api/refusals.hpp"

#include <utility>

namespace homeward {
namespace {

using namespace std::chrono_literals;

/// A cause that did not show for so long is said anew.
constexpr auto kQuiet = 60s;

constexpr std::size_t index(EventClass event_class) {
    return static_cast<std::size_t>(event_class) - 1;
}

}  // namespace

void Refusals::count(EventClass event_class, Reason reason, std::uint64_t events) noexcept {
    counts_[index(event_class)][static_cast<std::size_t>(reason)].fetch_add(
        events, std::memory_order_relaxed);
}

void Refusals::add_to(ClassStats& stats, EventClass event_class) const noexcept {
    const Counts& counts = counts_[index(event_class)];
    RefusalStats& by = stats.refused_by;
    by.lane_full = stats.refused;
    std::uint64_t* const members[] = {&by.scope_full, &by.too_large,  &by.type_unwritable,
                                      &by.invalid,    &by.incomplete, &by.unavailable,
                                      &by.closed};
    for (std::size_t i = 0; i < kReasons; ++i) {
        *members[i] = counts[i].load(std::memory_order_relaxed);
        stats.refused += *members[i];
    }
}

void Refusals::add(const Refusals& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        for (std::size_t j = 0; j < kReasons; ++j) counts_[i][j] += other.counts_[i][j];
    }
}

void Refusals::reset() noexcept {
    for (Counts& counts : counts_) {
        for (auto& count : counts) count = 0;
    }
}

std::string Refusals::news(const Stats& stats, std::chrono::steady_clock::time_point now) {
    const std::lock_guard lock(mutex_);
    std::string line;
    for (EventClass event_class : {EventClass::audit, EventClass::metric}) {
        const ClassStats& its = event_class == EventClass::audit ? stats.audit : stats.metric;
        const RefusalStats& by = its.refused_by;
        const std::pair<std::uint64_t, const char*> counted[] = {
            {by.scope_full, "are refused: their request scope holds all that it may"},
            {by.too_large,
             "are refused: they are larger than 256 KiB or half a lane (lane_bytes), or a text in "
             "them than 64 KiB"},
            {by.type_unwritable, "are refused: their type cannot be written to spool_dir"},
            {by.invalid,
             "are refused: the leader could not read their JSON (explain_json() says why), or a "
             "value does not fit its field"},
            {by.incomplete, "are refused: a required field was not set"},
            {by.unavailable, "were refused while this process had no publisher of its own"},
            {by.closed, "are refused: the publisher is closed"},
            {by.lane_full,
             "are refused: their lane is full; they come faster than they are logged"},
            {its.dropped,
             "are dropped: their lane is full; they come faster than they are logged"}};
        for (std::size_t i = 0; i < std::size(counted); ++i) {
            Cause& cause = causes_[index(event_class)][i];
            const auto& [count, text] = counted[i];
            if (count <= cause.seen) continue;
            const bool is_new = now - cause.quiet_since >= kQuiet;
            cause = {count, now};
            if (!is_new) continue;
            line += (line.empty() ? "" : "; ") + std::string(to_string(event_class)) + " events " +
                    text;
        }
    }
    return line;
}

}  // namespace homeward
