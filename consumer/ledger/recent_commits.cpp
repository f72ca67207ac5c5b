#include "consumer/ledger/recent_commits.hpp"

#include <algorithm>

#include "consumer/ledger/origin_registry.hpp"
#include "consumer/postgres/sql_text.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

/// No standby that is fit to be promoted lags further behind. About 250 bytes a frame.
constexpr auto kRemembered = 5min;
constexpr std::size_t kFramesMax = 20'000;

bool is_before(const LeaderIdentity& one, const LeaderIdentity& other) {
    return one.system == other.system && one.timeline < other.timeline;
}

}  // namespace

void RecentCommits::remember(const Batch& batch, const LeaderIdentity& leader) {
    const auto now = SteadyClock::now();
    const std::lock_guard lock(mutex_);
    for (const MessageWork& work : batch) {
        if (work.is_skipped() || work.is_plain() || work.is_heartbeat()) continue;
        const auto subject = parse_subject(work.pulled.message.subject);
        if (!subject) continue;
        frames_.push_back(
            {leader, work.header.publisher, std::string(to_string(work.header.event_class)),
             std::string(subject->region), std::string(subject->app),
             static_cast<std::int64_t>(work.seq_first), static_cast<std::int64_t>(work.seq_last()),
             static_cast<std::int64_t>(work.accepted), now});
    }
    while (!frames_.empty() &&
           (frames_.size() > kFramesMax || now - frames_.front().committed > kRemembered)) {
        frames_.pop_front();
    }
}

std::vector<RecentCommits::Frame> RecentCommits::before(const LeaderIdentity& leader) const {
    std::vector<Frame> frames;
    const std::lock_guard lock(mutex_);
    std::copy_if(frames_.begin(), frames_.end(), std::back_inserter(frames),
                 [&](const Frame& frame) { return is_before(frame.leader, leader); });
    return frames;
}

void RecentCommits::forget_before(const LeaderIdentity& leader) {
    const std::lock_guard lock(mutex_);
    const auto end = std::remove_if(frames_.begin(), frames_.end(), [&](const Frame& frame) {
        return is_before(frame.leader, leader);
    });
    frames_.erase(end, frames_.end());
}

std::size_t RecentCommits::note_lost_commits(PgConnection& leader) {
    const auto frames = before(leader.identity());
    std::vector<OriginRegistry::NewOrigin> senders;
    for (const Frame& frame : frames) {
        senders.push_back({frame.publisher, frame.event_class, frame.region, frame.app});
    }
    OriginRegistry origins;
    origins.add(leader, origins.find_unknown(leader, senders));
    std::vector<std::int64_t> numbers, firsts, lasts, counts;
    for (const Frame& frame : frames) {
        numbers.push_back(
            origins.find(leader, frame.publisher, frame.event_class, frame.region, frame.app).id);
        firsts.push_back(frame.seq_first);
        lasts.push_back(frame.seq_last);
        counts.push_back(frame.accepted);
    }
    if (numbers.empty()) return 0;
    const QueryResult lacking = leader.query(
        "WITH lacking AS ("
        " SELECT f.o, f.n FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[])"
        "  AS f (o, a, z, n)"
        " WHERE NOT EXISTS (SELECT FROM homeward.origin_status t WHERE t.origin = f.o"
        "                   AND t.settled @> int8range(f.a, f.z, '[]'))"
        "), noted AS ("
        " INSERT INTO homeward.heartbeat (origin, accepted, is_closing)"
        " SELECT o, max(n), false FROM lacking GROUP BY o)"
        " SELECT count(*) FROM lacking",
        {array_text(numbers), array_text(firsts), array_text(lasts), array_text(counts)});
    forget_before(leader.identity());
    return static_cast<std::size_t>(lacking.number(0, 0));
}

}  // namespace homeward::consumer
