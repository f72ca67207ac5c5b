#include "consumer/write/writer_probe.hpp"

#include <map>
#include <utility>

#include "consumer/base/time.hpp"
#include "consumer/write/source_holds.hpp"

namespace homeward::consumer {
namespace {

using SteadyClock = std::chrono::steady_clock;

}  // namespace

WriterProbe::Taken WriterProbe::taken(const std::vector<PulledMessage>& pulled,
                                      SteadyClock::time_point now) {
    Taken batch;
    std::map<const Stream*, std::uint64_t> pending;
    metrics_.batch_delay_seconds.observe(seconds(now - pulled.front().arrived));
    for (const PulledMessage& one : pulled) {
        batch.bytes += one.message.data.size();
        pending[one.stream] = one.message.delivery.pending;
        if (one.message.delivery.deliveries > 1) ++metrics_.redelivered;
    }
    for (const auto& [stream, count] : pending) {
        metrics_.set_pending(stream->name, count);
        batch.has_more |= count > 0;
    }
    metrics_.message_bytes += batch.bytes;
    return batch;
}

void WriterProbe::count_dead(const MessageWork& work) {
    std::uint64_t open = 0;
    const DeadEvent* last = nullptr;
    if (work.dead.empty()) return;
    dead_letter_quota_.add(source_of(work), letters_of(work));
    for (const DeadEvent& dead : work.dead) {
        ++(dead.parked ? metrics_.parked : metrics_.dead_letters);
        if (dead.parked) continue;
        ++open;
        last = &dead;
    }
    if (last == nullptr) return;
    log_.dead_letters(source_of(work), open, last->type, last->reason);
}

void WriterProbe::committed(const Batch& batch, SteadyClock::duration took) {
    const std::int64_t now_us = system_us();
    std::uint64_t rows = 0;
    const Stream* stream = nullptr;  // whose freshness it is
    Histogram* freshness = nullptr;
    std::map<const Stream*, std::pair<std::uint64_t, std::uint64_t>> written;  // messages, events
    std::vector<bool> has_passed(catalog_.types().size());
    metrics_.messages += batch.size();
    for (const MessageWork& work : batch) {
        if (work.state == MessageWork::State::quarantined) {
            ++metrics_.conflicts;
            dead_letter_quota_.add(source_of(work), {1, work.pulled.message.data.size(), 0});
        }
        const bool is_settled = work.state == MessageWork::State::settled;
        if (is_settled) metrics_.skipped_events += work.seq_count;
        if (work.is_skipped()) continue;
        auto& [messages, events] = written[work.pulled.stream];
        ++messages;
        events += work.seq_count;
        rows += work.events.size();
        metrics_.row_bytes += work.rows.size();
        for (const PackedBlock& block : work.packed) metrics_.row_bytes += block.bytes();
        count_dead(work);
        for (const Tombstone& one : work.tombstones) {
            metrics_.tombstones += one.seq_last - one.seq_first + 1;
        }
        if (work.events.empty()) continue;
        if (freshness == nullptr || work.pulled.stream != stream) {
            stream = work.pulled.stream;
            freshness = &metrics_.freshness(stream->region, to_string(stream->kind));
        }
        for (const EventRow& event : work.events) {
            freshness->observe(static_cast<double>(now_us - event.time_us) / 1e6);
            has_passed[static_cast<std::size_t>(event.type)] = true;
        }
    }
    for (const auto& [source, of] : written) {
        metrics_.count_events(source->name, of.first, of.second);
    }
    for (std::size_t type = 0; type < has_passed.size(); ++type) {
        if (has_passed[type]) type_holds_.passed(static_cast<int>(type));
    }
    metrics_.rows += rows;
    ++metrics_.batches;
    metrics_.batch_rows.observe(static_cast<double>(rows));
    metrics_.batch_seconds.observe(seconds(took));
}

}  // namespace homeward::consumer
