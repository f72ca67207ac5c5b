#include "consumer/write/writer_log.hpp"

#include <spdlog/spdlog.h>

#include "consumer/base/plain_text.hpp"
#include "consumer/base/printed_commands.hpp"

namespace homeward::consumer {
namespace {

constexpr std::size_t kReasonShownMax = 200;
constexpr const char* kOtherSources = "all other sources";

}  // namespace

void WriterLog::leader_failed(const std::string& error) {
    metrics_.leader_up = false;
    const std::lock_guard lock(mutex_);
    has_outage_ = true;
    const auto line = leader_.failed("leader: " + error + "; trying again", Clock::now());
    if (line) spdlog::warn("{}", *line);
}

void WriterLog::paused(const std::string& why) {
    metrics_.paused = true;
    const std::lock_guard lock(mutex_);
    has_outage_ = true;
    const auto line = pause_.failed("writing pauses: " + why, Clock::now());
    if (line) spdlog::error("{}", *line);
}

void WriterLog::committed() {
    metrics_.leader_up = true;
    metrics_.paused = false;
    if (!has_outage_) return;
    const std::lock_guard lock(mutex_);
    has_outage_ = false;
    for (const auto& line : {leader_.ended("the leader is back; writing goes on", Clock::now()),
                             pause_.ended("writing goes on", Clock::now())}) {
        if (line) spdlog::info("{}", *line);
    }
}

void WriterLog::dead_letters(const std::string& source, std::uint64_t count,
                             const std::string& type, const std::string& reason,
                             Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    const bool is_known = sources_.count(source) == 1 || sources_.size() < kSourcesMax;
    const std::string name = is_known ? source : kOtherSources;
    Source& one = sources_[name];
    one.count += count;
    one.type = type;
    one.reason = reason;
    if (one.told == Clock::time_point{} || now - one.told >= kSourceInterval) tell(name, one, now);
}

void WriterLog::flush(Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    for (auto source = sources_.begin(); source != sources_.end();) {
        if (now - source->second.told < kSourceInterval) {
            ++source;
        } else if (source->second.count > 0) {
            tell(source->first, source->second, now);
            ++source;
        } else {
            source = sources_.erase(source);  // quiet for long enough: room for another
        }
    }
}

void WriterLog::tell(const std::string& name, Source& source, Clock::time_point now) {
    spdlog::warn(
        "{} of {}; the last, of type \"{}\": {}; {}",
        source.count == 1 ? "1 dead letter" : std::to_string(source.count) + " dead letters", name,
        one_line(source.type, kReasonShownMax), one_line(source.reason, kReasonShownMax),
        command::kDeadLettersList);
    source.count = 0;
    source.told = now;
}

}  // namespace homeward::consumer
