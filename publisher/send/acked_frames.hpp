#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "publisher/send/origin.hpp"

namespace homeward {

/// Frames that a stream has acknowledged, still held in their logs: a nats-server that is killed
/// can lose what it acknowledged just before. Bounded by age, bytes and count; the oldest go first.
/// One thread.
class AckedFrames {
  public:
    using SteadyClock = std::chrono::steady_clock;
    struct Limits {
        std::chrono::milliseconds age_max;
        std::size_t bytes_max;  ///< of one class of event
    };
    struct Frame {
        Origin* origin = nullptr;
        OutgoingFrame outgoing;
        std::uint64_t stream_seq = 0;
        SteadyClock::time_point acked{};
    };

    explicit AckedFrames(const Limits& limits) : limits_(limits) {}

    /// Takes over the duty to release it.
    void keep(Frame frame);
    /// Releases from their logs what need not be kept any longer.
    void release_old(SteadyClock::time_point now);
    /// Releases all of an origin, whose log needs the room.
    void release_all(const Origin* origin);
    /// Takes out all frames, oldest first: they are to be sent again.
    std::vector<Frame> take_all();
    /// Those alone that the stream of a class acknowledged at `stream_seq` or behind.
    std::vector<Frame> take_from(EventClass event_class, std::uint64_t stream_seq);
    /// The origin's frames are kept no more; nothing is released, as its log goes with it.
    void remove(const Origin* origin);

  private:
    struct Kept {
        std::deque<Frame> frames;  // by time of acknowledgement
        std::size_t bytes = 0;
    };
    Kept& kept(EventClass event_class) { return kept_[static_cast<std::size_t>(event_class) - 1]; }
    static void take_if(Kept& kept, const std::function<bool(const Frame&)>& is_wanted,
                        std::vector<Frame>& taken);

    Limits limits_;
    std::array<Kept, 2> kept_;  // by class
};

}  // namespace homeward
