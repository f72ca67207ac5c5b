#include "publisher/send/spool_recovery.hpp"

#include <algorithm>
#include <utility>

#include <homeward/publisher.hpp>

#include "publisher/platform/file.hpp"
#include "publisher/spool/find_runs.hpp"
#include "publisher/spool/run_lock.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;

constexpr auto kScanInterval = 1s;
/// Added for every run in the spool: a hundred publishers that look at each other every three
/// seconds take 5% of a processor together.
constexpr auto kScanIntervalPerRun = 20ms;
/// How long an open run may stand still while others wait.
constexpr auto kStandstillMax = 10s;
/// Before a run that could not be opened is tried again.
constexpr auto kRetryAfter = 5s;

}  // namespace

SpoolRecovery::SteadyClock::duration SpoolRecovery::scan_interval() const {
    return kScanInterval + kScanIntervalPerRun * static_cast<int>(runs_seen_);
}

bool SpoolRecovery::is_known(const std::filesystem::path& directory) const {
    return std::any_of(waiting_.begin(), waiting_.end(),
                       [&](const Waiting& one) { return one.directory == directory; }) ||
           std::any_of(open_.begin(), open_.end(),
                       [&](const Open& open) { return open.run->run().directory() == directory; });
}

/// Once for each reason.
void SpoolRecovery::say(const std::filesystem::path& directory, const std::string& line) {
    if (line.empty() || said_[directory] == line) return;
    said_[directory] = line;
    on_log_(line);
}

void SpoolRecovery::scan() {
    std::set<std::filesystem::path> there;
    for (const auto& directory : entries_of(options_.spool)) {
        if (!PublisherId::parse(directory.filename().string())) continue;
        if (!is_real_directory(directory)) continue;
        there.insert(directory);
        if (directory != options_.own_run && !is_known(directory)) look_at(directory);
    }
    runs_seen_ = there.size();
    const auto is_gone = [&](const auto& entry) { return !there.contains(entry.first); };
    std::erase_if(said_, is_gone);
    std::erase_if(failed_, is_gone);
    std::erase_if(compacted_, [&](const auto& path) { return !there.contains(path); });
}

void SpoolRecovery::look_at(const std::filesystem::path& directory) {
    if (RunLock::is_taken(directory)) return;
    if (Run::remove_unfinished(directory, options_.lane_dir)) return;
    const auto failed = failed_.find(directory);
    if (failed != failed_.end() && SteadyClock::now() < failed->second) return;
    const bool is_next = open_.size() + waiting_.size() < kRunsAtOnce;
    Run::Found found = is_next ? Run::adopt(directory) : Run::inspect(directory);
    say(directory, explain(found));
    if (found.finding != Run::Finding::left) return;
    waiting_.push_back({directory, is_next ? std::move(found.run) : nullptr});
}

/// False if there is no more.
bool SpoolRecovery::open_next() {
    if (waiting_.empty()) return false;
    auto [directory, locked] = std::move(waiting_.front());
    waiting_.pop_front();
    try {
        if (locked == nullptr) {
            Run::Found found = Run::adopt(directory);
            say(directory, explain(found));
            if (found.finding != Run::Finding::left) return true;  // another was faster
            locked = std::move(found.run);
        }
        auto run = std::make_unique<OrphanedRun>(std::move(locked), options_.limits, on_log_);
        run->send_by(frame_sender_);
        open_.push_back({std::move(run), 0, SteadyClock::now()});
    } catch (const std::exception& error) {
        // It stays for later, or for an operator to look at.
        say(directory, error.what());
        failed_[directory] = SteadyClock::now() + kRetryAfter;
    }
    return true;
}

/// Of those that have to wait, the next one that has not been made small.
void SpoolRecovery::compact_next() {
    const auto next = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& one) {
        return one.run == nullptr && !compacted_.contains(one.directory);
    });
    if (next == waiting_.end()) return;
    const std::filesystem::path directory = next->directory;
    compacted_.insert(directory);
    try {
        Run::Found found = Run::adopt(directory);
        if (found.finding != Run::Finding::left || found.run->is_interrupted()) return;
        OrphanedRun run(std::move(found.run), options_.limits, [](const std::string&) {});
        if (run.compact()) waiting_.erase(next);
    } catch (const std::exception& error) {
        say(directory, error.what());
    }
}

/// One whose stream refuses it, or whose disk does, must not keep the others waiting.
void SpoolRecovery::yield_stuck() {
    const auto now = SteadyClock::now();
    for (Open& open : open_) {
        const ClassStats stats = open.run->stats();
        const std::uint64_t settled = stats.acked + stats.tombstoned;
        if (std::exchange(open.settled, settled) != settled) open.progress_at = now;
    }
    if (waiting_.empty() || open_.size() < kRunsAtOnce || !frame_sender_.is_connected()) return;
    const auto stuck = std::find_if(open_.begin(), open_.end(), [&](const Open& open) {
        return now - open.progress_at >= kStandstillMax;
    });
    if (stuck == open_.end()) return;
    waiting_.push_back({stuck->run->run().directory(), nullptr});
    open_.erase(stuck);
}

void SpoolRecovery::advance() {
    std::erase_if(open_, [](const Open& open) { return open.run->advance(); });
    yield_stuck();
    while (open_.size() < kRunsAtOnce && open_next()) continue;
    compact_next();
}

}  // namespace homeward
