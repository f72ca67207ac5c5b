// How long messages wait for company, by a clock that only this test moves: one writer whose
// transactions take a known time, and messages of one rate.

#include "consumer/pull/batch_queue.hpp"

#include "schemas/wire/frame.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::consumer;
using namespace std::chrono_literals;

namespace {

using Time = BatchQueue::SteadyClock::time_point;
using Duration = BatchQueue::SteadyClock::duration;

constexpr auto kStep = 100us;
constexpr BatchBounds kAdaptive{20'000, 16u << 20, 20ms, true};
constexpr BatchBounds kFixed{20'000, 16u << 20, 20ms, false};

struct Outcome {
    double messages_per_batch = 0;
    double wait_ms = 0;     ///< of a message until its batch begins; the mean
    Duration longest{};     ///< of a message while the writer was free
    double busy_share = 0;  ///< of the time in which a transaction was under way
};

double ms(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

/// A writer that is free takes what is due; each transaction takes `took`.
Outcome run(const BatchBounds& want, Duration interval, Duration took) {
    constexpr auto kRun = 10s;
    const Stream stream{StreamKind::plain, "ams", "", "S", "d"};
    BatchQueue queue;
    Outcome outcome;
    Duration waited{}, busy{};
    std::size_t messages = 0, batches = 0;
    const Time begin{1h};
    Time arrival = begin, free_at = begin;
    bool is_writing = false;
    for (Time now = begin; now < begin + kRun; now += kStep) {
        for (; arrival <= now; arrival += interval) {
            PulledMessage pulled;
            pulled.stream = &stream;
            pulled.arrived = arrival;
            queue.push(std::move(pulled));
        }
        if (now < free_at) continue;
        if (is_writing) queue.note_time(took);
        is_writing = false;
        if (queue.empty() || (!queue.is_full(want) && now < queue.due(want))) continue;
        for (const PulledMessage& taken : queue.take(want, now)) {
            waited += now - taken.arrived;
            outcome.longest = std::max(outcome.longest, now - std::max(taken.arrived, free_at));
            ++messages;
        }
        ++batches;
        busy += took;
        free_at = now + took;
        is_writing = true;
    }
    REQUIRE(batches > 0);
    outcome.messages_per_batch = static_cast<double>(messages) / static_cast<double>(batches);
    outcome.wait_ms = ms(waited) / static_cast<double>(messages);
    outcome.busy_share = ms(busy) / ms(kRun);
    return outcome;
}

}  // namespace

TEST_CASE("after a pause a message waits for nothing, with a fixed delay for all of it") {
    const Outcome rare = run(kAdaptive, 100ms, 4ms);
    CHECK(rare.messages_per_batch == 1);
    CHECK(rare.wait_ms <= 0.2);
    CHECK(run(kFixed, 100ms, 4ms).wait_ms >= 19.5);
}

TEST_CASE("batches begin twice a transaction's time apart, so a leader is idle for half of it") {
    const Outcome quick = run(kAdaptive, 1ms, 2ms);
    CHECK(quick.busy_share <= 0.55);
    CHECK(quick.wait_ms <= 4);
    CHECK(quick.wait_ms < 0.4 * run(kFixed, 1ms, 2ms).wait_ms);

    const Outcome slow = run(kAdaptive, 1ms, 8ms);
    CHECK(slow.busy_share <= 0.55);
    CHECK(slow.messages_per_batch > 3 * quick.messages_per_batch);
}

TEST_CASE("no message waits longer than the delay while a writer is free, however slow it was") {
    const Outcome slow = run(kAdaptive, 1ms, 200ms);
    CHECK(slow.longest <= 20ms + kStep);
    CHECK(slow.messages_per_batch >= 190);
}

TEST_CASE("the delay follows transactions up within a few, and down again") {
    const Stream stream{StreamKind::plain, "ams", "", "S", "d"};
    BatchQueue queue;
    Time now{1h};
    // How long a message waits that comes with the begin of the batch before it.
    const auto wait_after = [&](Duration took, int transactions) {
        for (int i = 0; i < transactions; ++i) queue.note_time(took);
        PulledMessage first;
        first.stream = &stream;
        first.arrived = now;
        queue.push(std::move(first));
        REQUIRE(queue.take(kAdaptive, now).size() == 1);
        PulledMessage next;
        next.stream = &stream;
        next.arrived = now;
        queue.push(std::move(next));
        const Duration wait = queue.due(kAdaptive) - now;
        now += 1s;
        queue.take(kAdaptive, now);
        return wait;
    };
    CHECK(wait_after(0ms, 1) == 0ms);
    CHECK(wait_after(5ms, 20) > 9ms);
    CHECK(wait_after(5ms, 1) <= 10ms);
    CHECK(wait_after(1s, 20) == 20ms);
    CHECK(wait_after(1ms, 40) <= 3ms);
}

TEST_CASE("a batch is no larger than what its frames decompress to may be") {
    FrameHeader header;
    header.version = 2;
    header.publisher.bytes[0] = 1;
    header.seq_count = header.line_count = 1;
    header.accepted = header.seq_last();
    FrameContent content;
    content.body_kind = BodyKind::columns;
    content.body.assign(kBodyBytesMax, '0');
    content.values_bytes = 1;
    std::vector<std::byte> frame;
    REQUIRE(FrameEncoder().encode(header, content, nullptr, frame));
    REQUIRE(frame.size() < 20'000);
    const Stream stream{StreamKind::audit, "ams", "", "S", "d"};
    BatchQueue queue;
    for (int i = 0; i < 10; ++i) {
        PulledMessage pulled;
        pulled.stream = &stream;
        pulled.message.data = frame;
        queue.push(std::move(pulled));
    }
    CHECK(queue.is_full(kFixed));
    CHECK(queue.take(kFixed).size() == kFixed.bytes_max / kBodyBytesMax);
}
