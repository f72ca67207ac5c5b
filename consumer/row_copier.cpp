#include "consumer/row_copier.hpp"

#include <algorithm>
#include <span>

#include "consumer/copy_row.hpp"

namespace homeward::consumer {
namespace {

using Range = std::pair<std::size_t, std::size_t>;

/// Pushes what is left of a range behind its bad row, or its two halves when nobody knows which
/// row it is; returns the bad row's place, or the range's end.
std::size_t cut(const Range& range, long bad_row, std::vector<Range>& ranges) {
    const auto [begin, end] = range;
    const bool is_known = bad_row >= 0 && static_cast<std::size_t>(bad_row) < end - begin;
    if (!is_known && end - begin > 1) {
        const std::size_t middle = begin + (end - begin) / 2;
        ranges.emplace_back(middle, end);
        ranges.emplace_back(begin, middle);
        return end;
    }
    const std::size_t at = begin + (is_known ? static_cast<std::size_t>(bad_row) : 0);
    if (at + 1 < end) ranges.emplace_back(at + 1, end);
    if (at > begin) ranges.emplace_back(begin, at);
    return at;
}

template <typename Places>
void send(Leader& leader, const std::string& statement, const Places& places) {
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

RowCopier::Places RowCopier::places_of(Units& units, int type) {
    Places places;
    for (FrameUnit& unit : units) {
        if (unit.skip) continue;
        for (std::size_t i = 0; i < unit.events.size(); ++i) {
            if (unit.events[i].type == type) places.push_back({&unit, i});
        }
    }
    return places;
}

std::string RowCopier::statement_of(Leader& leader, const EventType& type) const {
    std::string columns = "origin, seq, time";
    for (const Field& field : type.fields) columns += ", " + leader.quote(field.name);
    return "COPY " + leader.quote(config_.postgres.event_schema) + "." + leader.quote(type.table) +
           " (" + columns + ", extra) FROM STDIN (FORMAT binary)";
}

void RowCopier::make_room(const Units& units) {
    for (const FrameUnit& unit : units) {
        if (unit.skip) continue;
        for (const EventRow& event : unit.events) {
            partitions_.ensure(catalog_.types()[static_cast<std::size_t>(event.type)],
                               event.time_us);
        }
    }
}

void RowCopier::copy(Leader& leader, Units& units) {
    for (std::size_t type = 0; type < catalog_.types().size(); ++type) {
        const Places places = places_of(units, static_cast<int>(type));
        if (!places.empty()) send(leader, statement_of(leader, catalog_.types()[type]), places);
    }
}

std::vector<RowCopier::Refusal> RowCopier::sift(Leader& leader, const std::string& statement,
                                                const Places& places, std::size_t refused_max) {
    std::vector<Refusal> refused;
    std::vector<Range> ranges{{0, places.size()}};
    while (!ranges.empty()) {
        const Range range = ranges.back();
        ranges.pop_back();
        leader.execute("SAVEPOINT rows");
        try {
            send(leader, statement,
                 std::span(places).subspan(range.first, range.second - range.first));
            leader.execute("RELEASE SAVEPOINT rows");
        } catch (const LeaderError& error) {
            const ErrorClass error_class = classify(error.sqlstate(), true);
            const bool is_data =
                error_class == ErrorClass::data || error_class == ErrorClass::settled;
            if (!is_data || leader.is_broken() || refused.size() >= refused_max) throw;
            leader.execute("ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows");
            const std::size_t at = cut(range, copy_row_of(error.context()), ranges);
            if (at < range.second) refused.push_back({places[at], error});
        }
    }
    return refused;
}

void RowCopier::make_dead(const Refusal& refusal) {
    FrameUnit& unit = *refusal.place.unit;
    const auto event = unit.events.begin() + static_cast<std::ptrdiff_t>(refusal.place.event);
    const EventType& type = catalog_.types()[static_cast<std::size_t>(event->type)];
    unit.dead.push_back({event->seq, false, type.name, refusal.error.what(),
                         refusal.error.sqlstate(),
                         unit.body.substr(event->line_begin, event->line_end - event->line_begin)});
    unit.events.erase(event);
}

void RowCopier::copy_apart(Leader& leader, Units& units, std::size_t refused_max) {
    for (std::size_t type = 0; type < catalog_.types().size(); ++type) {
        const Places places = places_of(units, static_cast<int>(type));
        if (places.empty()) continue;
        auto refused =
            sift(leader, statement_of(leader, catalog_.types()[type]), places, refused_max);
        refused_max -= refused.size();
        // Behind the last use of the places, and from the back: erasing moves what follows.
        std::sort(refused.begin(), refused.end(), [](const Refusal& a, const Refusal& b) {
            return std::pair(a.place.unit, a.place.event) > std::pair(b.place.unit, b.place.event);
        });
        for (const Refusal& refusal : refused) make_dead(refusal);
    }
}

}  // namespace homeward::consumer
