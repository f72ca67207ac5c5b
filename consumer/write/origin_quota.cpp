#include "consumer/write/origin_quota.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "schemas/nats/subject.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kCountInterval = 5s;
/// Twice the time that the leader's count covers. Frames that come again after that find room.
constexpr auto kQuietMin = 2min;

std::string source_of(const OriginRegistry::NewOrigin& origin) {
    return origin.region + "/" + origin.app;
}

OriginQuota::Counts count_new_origins(PgConnection& leader) {
    const QueryResult rows = leader.query(
        "SELECT region, app, count(*) FROM homeward.origin"
        " WHERE first_seen > now() - interval '1 minute' AND class <> 'plain' GROUP BY 1, 2",
        {});
    OriginQuota::Counts counts;
    for (int row = 0; row < rows.rows(); ++row) {
        counts[std::string(rows.at(row, 0)) + "/" + std::string(rows.at(row, 1))] =
            static_cast<std::size_t>(rows.number(row, 2));
    }
    return counts;
}

std::vector<OriginRegistry::NewOrigin> origins_of(const Batch& batch) {
    std::vector<OriginRegistry::NewOrigin> origins;
    for (const MessageWork& work : batch) {
        if (work.is_plain() || work.is_returned()) continue;
        const auto subject = parse_subject(work.pulled.message.subject);
        origins.push_back({work.header.publisher, std::string(to_string(work.header.event_class)),
                           subject ? std::string(subject->region) : "?",
                           subject ? std::string(subject->app) : "?"});
    }
    return origins;
}

}  // namespace

bool OriginQuota::is_due(Time now) const {
    const std::lock_guard lock(mutex_);
    return measured_at_ == Time{} || now - measured_at_ >= kCountInterval;
}

void OriginQuota::measured(Counts counts, Time now) {
    const std::lock_guard lock(mutex_);
    counts_ = std::move(counts);
    measured_at_ = now;
}

bool OriginQuota::admit(const std::string& source, Time now) {
    const std::lock_guard lock(mutex_);
    std::size_t& count = counts_[source];
    if (count < new_origins_max_) {
        ++count;
        return true;
    }
    hold(source, now);
    return false;
}

void OriginQuota::end_holds(Time now) {
    const std::lock_guard lock(mutex_);
    for (auto held = refused_at_.begin(); held != refused_at_.end();) {
        if (now - held->second <= kQuietMin) {
            ++held;
            continue;
        }
        metrics_.end_hold("publishers", held->first);
        spdlog::info("new publishers of {} are held no more", held->first);
        held = refused_at_.erase(held);
    }
}

void OriginQuota::hold(const std::string& source, Time now) {
    const auto [held, is_new] = refused_at_.insert_or_assign(source, now);
    if (!is_new) return;
    const std::string why = "it has had " + std::to_string(new_origins_max_) +
                            " new publishers within a minute (ledger.new_origins_max)";
    metrics_.begin_hold("publishers", source, why);
    spdlog::error(
        "new publishers of {} are held: {}; frames of further ones wait in their streams and are "
        "tried again, everything else is written; find what starts so many, or raise the limit",
        source, why);
}

void register_origins(PgConnection& leader, OriginRegistry& origins, OriginQuota* quota,
                      Batch& batch) {
    const auto now = SteadyClock::now();
    if (quota != nullptr) quota->end_holds(now);
    auto unknown = origins.find_unknown(leader, origins_of(batch));
    if (unknown.empty()) return;
    if (quota != nullptr) {
        if (quota->is_due(now)) quota->measured(count_new_origins(leader), now);
        const auto is_refused = [&](const OriginRegistry::NewOrigin& origin) {
            return !quota->admit(source_of(origin), now);
        };
        unknown.erase(std::remove_if(unknown.begin(), unknown.end(), is_refused), unknown.end());
    }
    origins.add(leader, unknown);
    if (quota == nullptr) return;
    for (MessageWork& work : batch) {
        if (work.is_plain() || work.is_returned()) continue;
        const std::string event_class(to_string(work.header.event_class));
        if (origins.knows(work.header.publisher, event_class)) continue;
        work.state = MessageWork::State::returned;
    }
}

}  // namespace homeward::consumer
