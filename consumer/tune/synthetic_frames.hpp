#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// Frames of invented events of one type, as a publisher would have cut them; all different. They
/// share one publisher and one run of seqs: who uses them gives each an identity. Immutable.
class SyntheticFrames {
  public:
    SyntheticFrames(const EventType& type, std::size_t events_per_frame);

    std::span<const std::byte> frame(std::size_t number) const {
        return frames_[number % frames_.size()];
    }
    std::size_t events_per_frame() const { return events_per_frame_; }

  private:
    std::size_t events_per_frame_;
    std::vector<std::vector<std::byte>> frames_;
};

}  // namespace homeward::consumer
