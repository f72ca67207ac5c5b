#include "consumer/write/newer_frames.hpp"

#include <spdlog/spdlog.h>

#include <iterator>
#include <utility>

#include "consumer/write/source_holds.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

/// Longer than the delay of a NAK.
constexpr auto kQuietMin = 15min;
/// Whoever owns a leaf may name any number of apps; beyond this they are held under one name.
constexpr std::size_t kSourcesMax = 100;

}  // namespace

void NewerFrames::judge(Batch& batch, Time now) {
    const std::lock_guard lock(mutex_);
    end_holds(now);
    for (MessageWork& work : batch) {
        if (work.kind != MessageWork::Kind::newer_frame) continue;
        std::string source = source_of(work);
        if (refused_.count(source) == 1) {
            work.refuse("a frame of a newer version (dead_letters.newer_frames_of)");
            continue;
        }
        ++metrics_.newer_frames;
        hold(work, std::move(source), now);
    }
}

void NewerFrames::hold(const MessageWork& work, std::string source, Time now) {
    if (seen_at_.size() >= kSourcesMax && seen_at_.count(source) == 0) {
        source = work.pulled.stream->region + "/?";
    }
    if (!seen_at_.insert_or_assign(source, now).second) return;
    const std::string why =
        "this consumer reads frames up to version " + std::to_string(kFrameVersionMax);
    metrics_.begin_hold("newer_frames", source, why);
    spdlog::error(
        "frames of a newer version of {} are held: {}; they wait in their stream, everything else "
        "is written; upgrade this consumer before the publishers, or set frame_version back in "
        "them; RUNBOOK, an app sends frames of a newer version",
        source, why);
}

void NewerFrames::end_holds(Time now) {
    for (auto held = seen_at_.begin(); held != seen_at_.end();) {
        const bool is_over = now - held->second > kQuietMin;
        if (is_over) {
            metrics_.end_hold("newer_frames", held->first);
            spdlog::info("no frames of a newer version of {} are held any more", held->first);
        }
        held = is_over ? seen_at_.erase(held) : std::next(held);
    }
}

}  // namespace homeward::consumer
