#include "consumer/pull/frame_verifier.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>

#include "consumer/base/thread_body.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::consumer {
namespace {

constexpr unsigned kThreadsMax = 4;

/// Whatever happens in here, the frame reaches a writer, which refuses what is not verified.
FrameOrigin sender_of(const Message& message) noexcept {
    try {
        FrameHeader header;
        // The writer says what is wrong with it.
        if (FrameDecoder::decode_header(message.data, header) != FrameError::none) {
            return FrameOrigin::unclaimed;
        }
        return check_origin(message.data);
    } catch (const std::exception& error) {
        spdlog::error("signature check: {}", error.what());
        return FrameOrigin::forged;
    }
}

}  // namespace

FrameVerifier::FrameVerifier(OnVerified on_verified) : on_verified_(std::move(on_verified)) {
    const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1u, kThreadsMax);
    for (unsigned i = 0; i < count; ++i) {
        threads_.push_back(start_thread("signature check", [this] { run(); }));
    }
}

FrameVerifier::~FrameVerifier() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    pushed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

bool FrameVerifier::is_needed(const Message& message) {
    return claims_signature(message.data);
}

void FrameVerifier::push(PulledMessage pulled) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(pulled));
    pushed_.notify_one();
}

void FrameVerifier::for_each_waiting(const std::function<void(PulledMessage&)>& action) {
    const std::lock_guard lock(mutex_);
    for (PulledMessage& pulled : queue_) action(pulled);
}

void FrameVerifier::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        pushed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        PulledMessage pulled = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        pulled.sender = sender_of(pulled.message);
        on_verified_(std::move(pulled));
        lock.lock();
    }
}

}  // namespace homeward::consumer
