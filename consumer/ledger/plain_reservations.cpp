#include "consumer/ledger/plain_reservations.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {
namespace {

/// A run ends where its stream paused. No server dies, comes back and gives the same sequences out
/// again in less, so the times of a run never enclose those of another message of its sequences.
constexpr std::int64_t kPauseUs = 100'000;

/// How often one batch asks, at the most; the second time is for what was settled, a third for runs
/// that had to be split. Others may get ahead of it each time.
constexpr int kTriesMax = 20;

}  // namespace

std::string PlainReservations::Request::statement() const {
    // Only digits, commas and braces: safe inside a statement's text. Not synced: if the leader
    // forgets it, it has forgotten what was written by it, too.
    const auto array = [](const std::vector<std::int64_t>& values, const char* type) {
        return ",'" + array_text(values) + "'::" + type + "[]";
    };
    return "BEGIN; SET LOCAL synchronous_commit = off;"
           " SELECT answer, batch, origin, seq_first, seq_last, start_us, end_us"
           " FROM homeward.reserve_plain(" +
           std::to_string(source) + array(firsts, "int8") + array(lasts, "int8") +
           array(starts_us, "int8") + array(ends_us, "int8") + array(origins, "int4") +
           array(counts, "int8") + "); COMMIT";
}

PlainReservations::Request PlainReservations::next_request(std::int32_t source,
                                                           std::vector<Place>& places,
                                                           std::vector<Place>& chosen) {
    Request request;
    request.source = source;
    std::unordered_map<std::int64_t, std::int64_t> counts;
    std::vector<Place> later;
    bool was_alone = false;
    for (Place& place : places) {
        const bool is_first = request.lasts.empty();
        if (!is_first && place.seq <= request.lasts.back()) {
            later.push_back(place);
            continue;
        }
        const bool follows = !is_first && !place.alone && !was_alone &&
                             place.seq == request.lasts.back() + 1 &&
                             place.time_us >= request.ends_us.back() &&
                             place.time_us - request.ends_us.back() <= kPauseUs;
        if (follows) {
            request.lasts.back() = place.seq;
            request.ends_us.back() = place.time_us;
        } else {
            request.firsts.push_back(place.seq);
            request.lasts.push_back(place.seq);
            request.starts_us.push_back(place.time_us);
            request.ends_us.push_back(place.time_us);
        }
        was_alone = place.alone;
        counts[place.work->origin] += static_cast<std::int64_t>(place.work->seq_count);
        request.batch.push_back(place.work);
        chosen.push_back(place);
    }
    for (const auto& [origin, count] : counts) {
        request.origins.push_back(origin);
        request.counts.push_back(count);
    }
    places = std::move(later);
    return request;
}

void PlainReservations::assign(const QueryResult& answer, const Request& request) {
    std::unordered_map<std::int32_t, std::uint64_t> next;
    for (int row = 0; row < answer.rows(); ++row) {
        next[static_cast<std::int32_t>(answer.number(row, 2))] =
            static_cast<std::uint64_t>(answer.number(row, 3));
    }
    batches_.push_back(answer.number(0, 1));
    for (MessageWork* work : request.batch) {
        std::uint64_t& seq = next.at(work->origin);
        work->seq_first = seq;
        seq += work->seq_count;
        work->accepted = work->seq_last();
    }
}

bool PlainReservations::apply(PgConnection& leader, const QueryResult& answer,
                              const Request& request, std::vector<Place>& chosen) {
    if (answer.rows() == 0 || answer.at(0, 0) == "reserved") {
        assign(answer, request);
        return true;
    }
    std::vector<std::int64_t> in_hand;
    for (int row = 0; row < answer.rows(); ++row) {
        if (answer.at(row, 0) == "in_hand") {
            in_hand.push_back(answer.number(row, 1));
            continue;
        }
        const std::int64_t last = answer.number(row, 4);
        auto place =
            std::lower_bound(chosen.begin(), chosen.end(), answer.number(row, 3),
                             [](const Place& one, std::int64_t seq) { return one.seq < seq; });
        for (; place != chosen.end() && place->seq <= last; ++place) {
            const bool is_in_it =
                place->time_us >= answer.number(row, 5) && place->time_us <= answer.number(row, 6);
            if (is_in_it) place->work->state = MessageWork::State::settled;
            place->alone = true;
        }
    }
    std::erase_if(chosen, [](const Place& place) { return place.work->is_skipped(); });
    if (!in_hand.empty()) {
        leader.query("SELECT homeward.await_plain($1::int8[])", {array_text(in_hand)});
    }
    return false;
}

void PlainReservations::reserve_of(PgConnection& leader, std::int32_t source,
                                   std::vector<Place> places) {
    std::sort(places.begin(), places.end(), [](const Place& one, const Place& other) {
        return std::pair(one.seq, one.time_us) < std::pair(other.seq, other.time_us);
    });
    // Redelivered while its first delivery still waited here.
    for (std::size_t i = 1; i < places.size(); ++i) {
        const bool is_same =
            places[i].seq == places[i - 1].seq && places[i].time_us == places[i - 1].time_us;
        if (is_same) places[i].work->state = MessageWork::State::settled;
    }
    std::erase_if(places, [](const Place& place) { return place.work->is_skipped(); });
    for (int tries = 0; !places.empty(); ++tries) {
        if (tries == kTriesMax) {
            throw LeaderError("55P03", "plain messages are in the hands of others again and again",
                              "");
        }
        std::vector<Place> chosen;
        const Request request = next_request(source, places, chosen);
        const auto results = leader.execute_each(request.statement());
        if (apply(leader, results[2], request, chosen)) continue;
        places.insert(places.end(), chosen.begin(), chosen.end());
        std::sort(places.begin(), places.end(), [](const Place& one, const Place& other) {
            return std::pair(one.seq, one.time_us) < std::pair(other.seq, other.time_us);
        });
    }
}

void PlainReservations::reserve(PgConnection& leader, Batch& batch) {
    batches_.clear();
    std::map<std::int32_t, std::vector<Place>> by_source;
    for (MessageWork& work : batch) {
        if (!work.is_plain() || work.is_skipped()) continue;
        const Delivery& delivery = work.pulled.message.delivery;
        by_source[work.plain_source].push_back(
            {static_cast<std::int64_t>(delivery.stream_seq), delivery.time_us, &work});
    }
    for (auto& [source, places] : by_source) reserve_of(leader, source, std::move(places));
}

std::string PlainReservations::take_statement() const {
    if (batches_.empty()) return "";
    return "SELECT FROM homeward.take_plain('" + array_text(batches_) + "'::int8[])";
}

}  // namespace homeward::consumer
