#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include <homeward/publisher.hpp>

namespace homeward {

/// What one RequestScope holds, as spans of lane records that only lack their checksums: these
/// cover the position, which is not known yet. Any thread. Borrows the publisher.
class BufferedEvents {
  public:
    BufferedEvents(Publisher& publisher, std::size_t bytes_max);

    /// nullopt: decided meanwhile, by another thread; the event goes its usual way.
    std::optional<EmitResult> hold(EventClass event_class, const TypeDescriptor* descriptor,
                                   std::size_t record_bytes, std::int64_t time_us, void* context,
                                   Publisher::WriteRecord* write) noexcept;

    EmitResult publish() noexcept;
    void drop() noexcept;
    /// Publishes if nothing was decided; what finds no room is given up, and counted.
    void end() noexcept;

    bool is_open() const noexcept { return state_.load(std::memory_order_acquire) == State::open; }
    /// False for another publisher's, and in a forked child, where even the mutex may be held by
    /// a thread that does not exist.
    bool belongs_to(const Publisher& publisher) const noexcept {
        const std::uint64_t owner = publisher_.owner();
        return &publisher == &publisher_ && (owner == owner_ || owner == detail::kClosedOwner);
    }
    const Publisher& publisher() const noexcept { return publisher_; }
    std::size_t events() const noexcept;

  private:
    enum class State : std::uint8_t { open, published, dropped };
    /// Of one class.
    struct Records {
        std::vector<std::byte> spans;
        std::vector<const TypeDescriptor*> descriptors;  // each once
        std::size_t events = 0;
        std::size_t drops = 0;  // metric: found no room here

        /// Both return false, and change nothing, beyond bytes_max or without memory.
        bool add_span(std::size_t bytes, const TypeDescriptor* descriptor,
                      std::size_t bytes_max) noexcept;
        bool add_all(const Records& more, std::size_t bytes_max) noexcept;
    };

    /// Of the publisher in this process, which in a forked child is a new one.
    static std::uint64_t own_number(Publisher& publisher);
    EmitResult hand_to(BufferedEvents& outer) noexcept;
    EmitResult send(EventClass event_class, Records& held) noexcept;
    EmitResult send_all() noexcept;
    /// What every call after the decision answers.
    EmitResult decided() const noexcept;
    void decide(State state) noexcept;

    Publisher& publisher_;
    const std::uint64_t owner_;  // of the publisher, in the process that made the scope
    const std::size_t bytes_max_;
    std::atomic<State> state_{State::open};
    mutable std::mutex mutex_;  // guards what follows; held for a copy of at most bytes_max
    Records audit_;
    Records metric_;
};

}  // namespace homeward
