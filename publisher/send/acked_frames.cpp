#include "publisher/send/acked_frames.hpp"

#include <algorithm>

namespace homeward {
namespace {

/// Of any size: bounds what an entry itself takes.
constexpr std::size_t kFramesMax = 16'384;

std::size_t bytes_in(const AckedFrames::Frame& frame) {
    return std::max(frame.outgoing.frame.bytes, frame.outgoing.heartbeat.size());
}

}  // namespace

void AckedFrames::keep(Frame frame) {
    Kept& kept = this->kept(frame.origin->event_class());
    kept.bytes += bytes_in(frame);
    kept.frames.push_back(std::move(frame));
}

void AckedFrames::release_old(SteadyClock::time_point now) {
    for (Kept& kept : kept_) {
        while (!kept.frames.empty()) {
            const Frame& oldest = kept.frames.front();
            if (now - oldest.acked < limits_.age_max && kept.bytes <= limits_.bytes_max &&
                kept.frames.size() <= kFramesMax) {
                break;
            }
            kept.bytes -= bytes_in(oldest);
            oldest.origin->forget(oldest.outgoing);
            kept.frames.pop_front();
        }
    }
}

void AckedFrames::take_if(Kept& kept, const std::function<bool(const Frame&)>& is_wanted,
                          std::vector<Frame>& taken) {
    std::deque<Frame> left;
    for (Frame& frame : kept.frames) {
        if (!is_wanted(frame)) {
            left.push_back(std::move(frame));
            continue;
        }
        kept.bytes -= bytes_in(frame);
        taken.push_back(std::move(frame));
    }
    kept.frames.swap(left);
}

void AckedFrames::release_all(const Origin* origin) {
    std::vector<Frame> released;
    take_if(
        kept(origin->event_class()), [&](const Frame& one) { return one.origin == origin; },
        released);
    for (const Frame& frame : released) frame.origin->forget(frame.outgoing);
}

std::vector<AckedFrames::Frame> AckedFrames::take_all() {
    std::vector<Frame> taken;
    for (Kept& kept : kept_)
        take_if(
            kept, [](const Frame&) { return true; }, taken);
    return taken;
}

std::vector<AckedFrames::Frame> AckedFrames::take_from(EventClass event_class,
                                                       std::uint64_t stream_seq) {
    std::vector<Frame> taken;
    take_if(
        kept(event_class), [&](const Frame& one) { return one.stream_seq >= stream_seq; }, taken);
    return taken;
}

void AckedFrames::remove(const Origin* origin) {
    std::vector<Frame> removed;
    take_if(
        kept(origin->event_class()), [&](const Frame& one) { return one.origin == origin; },
        removed);
}

}  // namespace homeward
