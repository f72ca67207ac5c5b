#include "consumer/writer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cassert>
#include <map>

#include "consumer/copy_row.hpp"
#include "schemas/subject.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kRetryFirst = 50ms;
constexpr auto kRetryMax = 2s;
constexpr auto kPause = 5s;
/// A frame holds a few hundred events; the take is by messages.
constexpr std::size_t kEventsPerMessageGuess = 300;

std::int64_t system_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

double seconds(SteadyClock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

EventDecoder::Limits limits_of(const Config& config) {
    constexpr std::int64_t kDayUs = 86'400'000'000;
    return {static_cast<std::int64_t>(config.schema.past_max_days) * kDayUs, 2 * kDayUs};
}

}  // namespace

Writer::Writer(WriterContext& context)
    : context_(context),
      partitions_(context.config.postgres),
      decoder_(context.catalog, limits_of(context.config)),
      thread_([this] { run(); }) {}

Writer::~Writer() { thread_.join(); }

void Writer::run() {
    const Config::Batch& limits = context_.config.batch;
    const Puller::Want want{std::max<std::size_t>(limits.rows_max / kEventsPerMessageGuess, 1),
                            limits.bytes_max / 8,  // frames are compressed
                            std::chrono::milliseconds(limits.delay_ms)};
    for (;;) {
        std::vector<Pulled> pulled = context_.puller.take(want);
        if (pulled.empty()) return;
        Units units;
        units.reserve(pulled.size());
        std::size_t bytes = 0;
        for (Pulled& one : pulled) {
            bytes += one.message.data.size();
            if (one.message.delivery.deliveries > 1) ++context_.metrics.redelivered;
            context_.metrics.set_pending(one.stream->name, one.message.delivery.pending);
            units.push_back(decoder_.open(std::move(one)));
        }
        const std::size_t messages = units.size();
        write(units);
        context_.puller.finish(messages, bytes);
    }
}

void Writer::connect() {
    if (leader_ && !leader_->is_broken()) return;
    leader_.reset();
    leader_.emplace(context_.config.postgres.url, context_.config.postgres);
    partitions_.forget();
    has_worked_ = true;
    context_.metrics.leader_up = true;
}

/// Until it is committed, however long that takes; or until stop, then the messages come again.
void Writer::write(Units& units) {
    const auto started = SteadyClock::now();
    bool careful = std::any_of(units.begin(), units.end(), [](const FrameUnit& unit) {
        return unit.pulled.message.delivery.deliveries > 1 || unit.is_plain;
    });
    auto wait = std::chrono::milliseconds(kRetryFirst);
    while (true) {
        try {
            connect();
            prepare(units);
            if (careful) {
                write_carefully(units);
            } else {
                write_optimistically(units);
            }
            context_.metrics.paused = false;
            break;
        } catch (const LeaderError& error) {
            const ErrorClass error_class = classify(error.sqlstate(), has_worked_);
            ++context_.metrics.retries;
            if (leader_ && !leader_->is_broken()) {
                // Also what was read-only: the next connection looks for the new leader.
                if (error_class == ErrorClass::retry) leader_.reset();
            }
            if (leader_ && !leader_->is_broken()) {
                try {
                    leader_->execute("ROLLBACK");
                } catch (const LeaderError&) {
                    leader_.reset();
                }
            }
            const bool first_redo =
                !careful && (error_class == ErrorClass::settled || error_class == ErrorClass::data);
            // Whatever happened, the COMMIT may have come through: the ledger knows.
            careful = true;
            if (first_redo) {
                ++context_.metrics.redos;
                continue;
            }
            if (error_class == ErrorClass::retry) {
                context_.metrics.leader_up = false;
                spdlog::warn("leader: {} [{}]; trying again", error.what(), error.sqlstate());
                pause(units, "", wait);
                wait = std::min<std::chrono::milliseconds>(wait * 2, kRetryMax);
            } else {
                partitions_.forget();
                pause(units,
                      std::string(error.what()) + " [" + error.sqlstate() +
                          "]; nothing is lost, writing goes on when this is mended",
                      kPause);
            }
            if (context_.stopping) return;
        }
    }
    acknowledge(units);
    count(units, SteadyClock::now() - started);
}

void Writer::pause(const Units& units, const std::string& why, std::chrono::milliseconds time) {
    if (!why.empty()) {
        context_.metrics.paused = true;
        spdlog::error("writing pauses: {}", why);
    }
    keep_alive(units);
    const auto until = SteadyClock::now() + time;
    while (SteadyClock::now() < until && !context_.stopping) std::this_thread::sleep_for(10ms);
}

/// Tells the streams that the messages are still being worked on, lest they come to another.
void Writer::keep_alive(const Units& units) {
    for (const FrameUnit& unit : units) {
        context_.nats.publish(std::string(unit.pulled.message.reply), "+WPI");
    }
}

void Writer::acknowledge(const Units& units) {
    for (const FrameUnit& unit : units) {
        context_.nats.publish(std::string(unit.pulled.message.reply), "+ACK");
    }
}

void Writer::resolve_origin(FrameUnit& unit) {
    const Pulled& pulled = unit.pulled;
    if (unit.is_plain) {
        unit.origin = origins_.find_plain(*leader_, pulled.stream->name,
                                          context_.stream_created_us(*pulled.stream),
                                          pulled.stream->region).id;
        return;
    }
    const auto subject = parse_subject(pulled.message.subject);
    const std::string region(subject ? subject->region : "?");
    const std::string app(subject ? subject->app : "?");
    const OriginEntry& entry =
        origins_.find(*leader_, unit.header.publisher,
                      std::string(to_string(unit.header.event_class)), region, app);
    unit.origin = entry.id;
    if (entry.region == region && entry.app == app) return;
    // Whoever may publish anything could otherwise mark another's events as settled.
    ledger::keep_aside(*leader_, unit,
                       "its origin belongs to region " + entry.region + ", app " + entry.app);
    ++context_.metrics.conflicts;
    spdlog::error("a frame from {} claims an origin of {}/{}; kept in homeward.conflict",
                  pulled.message.subject, entry.region, entry.app);
    unit.skip = true;
}

/// The same frame twice in one batch would meet itself in the ledger only after both had their rows
/// copied. The first stays; a copy of it is settled with it; anything else is kept aside.
void Writer::drop_overlaps_within(Units& units) {
    std::map<std::int32_t, std::map<std::uint64_t, const FrameUnit*>> taken;
    for (FrameUnit& unit : units) {
        if (unit.skip || unit.is_mark || unit.is_plain) continue;
        auto& of_origin = taken[unit.origin];
        auto after = of_origin.upper_bound(unit.seq_last());
        const FrameUnit* other = after == of_origin.begin() ? nullptr : std::prev(after)->second;
        if (other == nullptr || other->seq_last() < unit.seq_first) {
            of_origin[unit.seq_first] = &unit;
            continue;
        }
        unit.skip = true;
        if (other->seq_first == unit.seq_first && other->seq_last() == unit.seq_last()) {
            context_.metrics.skipped_events += unit.seq_count;
            continue;
        }
        ledger::keep_aside(*leader_, unit, "it overlaps another frame of its batch in part");
        ++context_.metrics.conflicts;
    }
    // Invariant: what is left of an origin is disjoint, so the lengths add up to its union.
    for (const auto& [origin, frames] : taken) {
        std::uint64_t end = 0;
        for (const auto& [seq_first, unit] : frames) {
            assert(seq_first > end && "frames of one origin in one batch are disjoint");
            end = unit->seq_last();
        }
    }
}

void Writer::prepare(Units& units) {
    for (FrameUnit& unit : units) {
        unit.reset();
        resolve_origin(unit);
    }
    drop_overlaps_within(units);
}

void Writer::decode(Units& units) {
    const auto started = SteadyClock::now();
    const std::uint64_t nuls = decoder_.replaced_nuls();
    const std::int64_t now_us = system_us();
    std::size_t bad = 0;
    for (FrameUnit& unit : units) {
        if (unit.skip) continue;
        decoder_.decode(unit, now_us);
        bad += static_cast<std::size_t>(std::count_if(
            unit.dead.begin(), unit.dead.end(), [](const DeadEvent& dead) { return !dead.parked; }));
    }
    context_.metrics.replaced_nuls += decoder_.replaced_nuls() - nuls;
    context_.metrics.decode_seconds.observe(seconds(SteadyClock::now() - started));
    if (bad > context_.config.batch.bad_events_max) {
        throw LeaderError("HW002",
                          std::to_string(bad) + " bad events in one batch, more than "
                          "batch.bad_events_max; look at what sends them, or raise the limit to "
                          "let them become dead letters", "");
    }
}

void Writer::write_optimistically(Units& units) {
    decode(units);
    for (const FrameUnit& unit : units) {
        if (unit.skip) continue;
        for (const EventRow& event : unit.events) {
            partitions_.ensure(context_.catalog->types()[static_cast<std::size_t>(event.type)],
                               event.time_us);
        }
    }
    leader_->execute("BEGIN");
    const auto started = SteadyClock::now();
    copy_rows(units);
    ledger::write_rest(*leader_, units);
    const auto copied = SteadyClock::now();
    ledger::settle_and_commit(*leader_, units);
    context_.metrics.copy_seconds.observe(seconds(copied - started));
    context_.metrics.commit_seconds.observe(seconds(SteadyClock::now() - copied));
}

void Writer::write_carefully(Units& units) {
    leader_->execute("BEGIN");
    ledger::claim_plain(*leader_, units);
    const auto verdicts = ledger::claim(*leader_, units);
    for (std::size_t i = 0; i < units.size(); ++i) {
        FrameUnit& unit = units[i];
        if (unit.skip || verdicts[i] == ledger::Verdict::fresh) continue;
        unit.skip = true;
        if (verdicts[i] == ledger::Verdict::settled) {
            context_.metrics.skipped_events += unit.seq_count;
            continue;
        }
        ledger::keep_aside(*leader_, unit, "the ledger has settled a part of it");
        ++context_.metrics.conflicts;
    }
    decode(units);
    copy_with_isolation(units);
    ledger::write_rest(*leader_, units);
    leader_->execute("COMMIT");
}

namespace {

/// Where a row of the COPY at hand came from.
struct RowPlace {
    FrameUnit* unit;
    std::size_t event;
};

std::vector<RowPlace> rows_of_type(Units& units, int type) {
    std::vector<RowPlace> places;
    for (FrameUnit& unit : units) {
        if (unit.skip) continue;
        for (std::size_t i = 0; i < unit.events.size(); ++i) {
            if (unit.events[i].type == type) places.push_back({&unit, i});
        }
    }
    return places;
}

std::string copy_statement(Leader& leader, const Config& config, const EventType& type) {
    std::string columns = "origin, seq, time";
    for (const Field& field : type.fields) columns += ", " + leader.quote(field.name);
    return "COPY " + leader.quote(config.postgres.event_schema) + "." + leader.quote(type.table) +
           " (" + columns + ", extra) FROM STDIN (FORMAT binary)";
}

void send_rows(Leader& leader, const std::string& statement, std::span<const RowPlace> places) {
    leader.copy_begin(statement);
    leader.copy_data(copy_header());
    // Rows of one unit mostly lie behind one another: they go in one piece.
    for (std::size_t i = 0; i < places.size();) {
        const FrameUnit* unit = places[i].unit;
        const std::uint32_t begin = unit->events[places[i].event].begin;
        std::uint32_t end = begin;
        while (i < places.size() && places[i].unit == unit &&
               unit->events[places[i].event].begin == end) {
            end = unit->events[places[i].event].end;
            ++i;
        }
        leader.copy_data(std::string_view(unit->rows).substr(begin, end - begin));
    }
    leader.copy_data(copy_trailer());
    leader.copy_end();
}

}  // namespace

void Writer::copy_rows(Units& units) {
    for (std::size_t type = 0; type < context_.catalog->types().size(); ++type) {
        const auto places = rows_of_type(units, static_cast<int>(type));
        if (places.empty()) continue;
        send_rows(*leader_,
                  copy_statement(*leader_, context_.config, context_.catalog->types()[type]),
                  places);
    }
}

void Writer::make_dead(FrameUnit& unit, std::size_t index, const LeaderError& error) {
    const EventRow& event = unit.events[index];
    const EventType& type = context_.catalog->types()[static_cast<std::size_t>(event.type)];
    unit.dead.push_back({event.seq, false, type.name, error.what(), error.sqlstate(),
                         unit.body.substr(event.line_begin, event.line_end - event.line_begin)});
    unit.events.erase(unit.events.begin() + static_cast<std::ptrdiff_t>(index));
}

/// Rows that the leader refuses become dead letters, one by one: by the line that COPY names, else
/// by halving. Everything else of the batch stays in the same transaction.
void Writer::copy_with_isolation(Units& units) {
    std::size_t bad = 0;
    for (std::size_t type = 0; type < context_.catalog->types().size(); ++type) {
        const EventType& event_type = context_.catalog->types()[type];
        const std::string statement = copy_statement(*leader_, context_.config, event_type);
        // In these the rest of the type's rows is tried; a refused range is cut smaller.
        std::vector<std::pair<std::size_t, std::size_t>> ranges;
        auto places = rows_of_type(units, static_cast<int>(type));
        for (const RowPlace& place : places) {
            partitions_.ensure(event_type, place.unit->events[place.event].time_us);
        }
        std::vector<std::pair<RowPlace, LeaderError>> refused;
        if (!places.empty()) ranges.emplace_back(0, places.size());
        while (!ranges.empty()) {
            const auto [begin, end] = ranges.back();
            ranges.pop_back();
            const auto range = std::span<const RowPlace>(places).subspan(begin, end - begin);
            leader_->execute("SAVEPOINT rows");
            try {
                send_rows(*leader_, statement, range);
                leader_->execute("RELEASE SAVEPOINT rows");
                continue;
            } catch (const LeaderError& error) {
                const ErrorClass error_class = classify(error.sqlstate(), true);
                const bool is_data =
                    error_class == ErrorClass::data || error_class == ErrorClass::settled;
                if (!is_data || leader_->is_broken()) throw;
                if (++bad > context_.config.batch.bad_events_max) throw;
                leader_->execute("ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows");
                const long row = copy_row_of(error.context());
                std::size_t at = end - begin;
                if (row >= 0 && static_cast<std::size_t>(row) < range.size()) {
                    at = static_cast<std::size_t>(row);
                } else if (range.size() == 1) {
                    at = 0;
                }
                if (at < range.size()) {
                    refused.emplace_back(range[at], error);
                    if (begin + at + 1 < end) ranges.emplace_back(begin + at + 1, end);
                    if (at > 0) ranges.emplace_back(begin, begin + at);
                } else {
                    const std::size_t middle = begin + (end - begin) / 2;
                    ranges.emplace_back(middle, end);
                    ranges.emplace_back(begin, middle);
                }
            }
        }
        // Behind the last use of the places, and from the back: erasing moves what follows.
        std::sort(refused.begin(), refused.end(), [](const auto& a, const auto& b) {
            return std::pair(a.first.unit, a.first.event) > std::pair(b.first.unit, b.first.event);
        });
        for (const auto& [place, error] : refused) make_dead(*place.unit, place.event, error);
    }
}

void Writer::count(const Units& units, SteadyClock::duration took) {
    Metrics& metrics = context_.metrics;
    const std::int64_t now_us = system_us();
    std::uint64_t rows = 0;
    for (const FrameUnit& unit : units) {
        ++metrics.messages;
        if (unit.skip) continue;
        rows += unit.events.size();
        metrics.row_bytes += unit.rows.size();
        for (const DeadEvent& dead : unit.dead) {
            ++(dead.parked ? metrics.parked : metrics.dead_letters);
        }
        for (const Tombstone& one : unit.tombstones) {
            metrics.tombstones += one.seq_last - one.seq_first + 1;
        }
        if (unit.events.empty()) continue;
        Histogram& freshness =
            metrics.freshness(unit.pulled.stream->region, to_string(unit.pulled.stream->kind));
        for (const EventRow& event : unit.events) {
            freshness.observe(static_cast<double>(now_us - event.time_us) / 1e6);
        }
    }
    metrics.rows += rows;
    ++metrics.batches;
    metrics.batch_rows.observe(static_cast<double>(rows));
    metrics.batch_seconds.observe(seconds(took));
}

}  // namespace homeward::consumer
