#include "consumer/batch_queue.hpp"

#include <algorithm>
#include <utility>

#include "schemas/frame.hpp"

namespace homeward::consumer {
namespace {

void weigh(Pulled& pulled) {
    const auto data = pulled.message.data;
    pulled.body_bytes = data.size();
    if (pulled.stream->kind == StreamKind::plain) {
        pulled.events += static_cast<std::size_t>(
            std::count(data.begin(), data.end(), static_cast<std::byte>('\n')));
        return;
    }
    const FrameSize size = claimed_size(data);
    pulled.events = size.lines;
    pulled.body_bytes = size.body_bytes;
}

}  // namespace

void BatchQueue::push(Pulled pulled) {
    weigh(pulled);
    events_ += pulled.events;
    bytes_ += pulled.body_bytes;
    queue_.push_back(std::move(pulled));
}

std::vector<Pulled> BatchQueue::take(const BatchWant& want) {
    std::vector<Pulled> taken;
    std::size_t events = 0;
    std::size_t bytes = 0;
    while (!queue_.empty()) {
        const Pulled& next = queue_.front();
        const bool fits =
            events + next.events <= want.events_max && bytes + next.body_bytes <= want.bytes_max;
        if (!fits && !taken.empty()) break;
        events += next.events;
        bytes += next.body_bytes;
        taken.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    events_ -= events;
    bytes_ -= bytes;
    return taken;
}

}  // namespace homeward::consumer
