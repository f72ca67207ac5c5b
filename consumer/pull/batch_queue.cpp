#include "consumer/pull/batch_queue.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "schemas/wire/frame.hpp"

namespace homeward::consumer {
namespace {

/// By memchr(), as a compiler counts byte by byte, and every plain message is counted.
std::size_t newlines_in(std::span<const std::byte> data) {
    const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string_view::npos; ++at) ++count;
    return count;
}

void weigh(PulledMessage& pulled) {
    const auto data = pulled.message.data;
    pulled.body_bytes = data.size();
    if (pulled.stream->kind == StreamKind::plain) {
        pulled.events += newlines_in(data);
        return;
    }
    const FrameSize size = claimed_size(data);
    pulled.events = size.lines;
    pulled.body_bytes = std::max<std::size_t>(data.size(), size.body_bytes);
}

}  // namespace

void BatchQueue::push(PulledMessage pulled) {
    weigh(pulled);
    events_ += pulled.events;
    bytes_ += pulled.body_bytes;
    queue_.push_back(std::move(pulled));
}

std::vector<PulledMessage> BatchQueue::take(const BatchBounds& bounds,
                                            SteadyClock::time_point now) {
    std::vector<PulledMessage> taken;
    std::size_t events = 0;
    std::size_t bytes = 0;
    while (!queue_.empty()) {
        const PulledMessage& next = queue_.front();
        const bool fits = events + next.events <= bounds.events_max &&
                          bytes + next.body_bytes <= bounds.bytes_max;
        if (!fits && !taken.empty()) break;
        events += next.events;
        bytes += next.body_bytes;
        taken.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    events_ -= events;
    bytes_ -= bytes;
    taken_ = now;
    return taken;
}

}  // namespace homeward::consumer
