#pragma once

#include <chrono>
#include <cstddef>

#include "consumer/nats/message.hpp"
#include "consumer/nats/stream.hpp"
#include "schemas/wire/frame_signature.hpp"

namespace homeward::consumer {

/// A message with the stream it came from.
struct PulledMessage {
    Message message;
    const Stream* stream = nullptr;  ///< owned by the puller
    std::chrono::steady_clock::time_point arrived;
    std::chrono::steady_clock::time_point touched;  ///< arrived, or last spoken for
    /// What it will be in a transaction, as far as can be told unopened.
    std::size_t events = 1;
    std::size_t body_bytes = 0;
    FrameOrigin sender = FrameOrigin::unclaimed;  ///< by FrameVerifier, where it is needed
};

}  // namespace homeward::consumer
