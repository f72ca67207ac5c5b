#include "consumer/status/leader_view.hpp"

#include <string>

namespace homeward::consumer {
namespace {

/// The states are those of homeward.proof, which would count every row there is.
const std::string kOrigin =
    "WITH origin AS (SELECT class, region, app, publisher, accepted, settled AS ranges, "
    "settled_count,"
    "  last_seen_at, greatest(accepted - settled_count, 0) AS holes,"
    "  CASE WHEN is_closed AND accepted <= settled_count THEN 'complete'"
    "   WHEN is_abandoned THEN 'abandoned'"
    "   WHEN class = 'plain' OR last_seen_at > now() - interval '3 minutes' THEN 'active'"
    "   ELSE 'open' END AS state"
    " FROM homeward.origin_status, LATERAL (SELECT homeward.seq_count(settled) AS settled_count) "
    "AS s) ";
const std::string kStates = kOrigin + "SELECT state, count(*) FROM origin GROUP BY 1";
/// Origins with holes come first, so that what is cut off is whole.
const std::string kOrigins =
    kOrigin +
    "SELECT class, region, app, publisher, state, accepted, settled_count, holes,"
    " CASE WHEN holes > 0"
    "  THEN left((int8multirange(int8range(1, accepted, '[]')) - ranges)::text, 80) END,"
    " round(extract(epoch FROM now() - last_seen_at))::int8"
    " FROM origin ORDER BY holes DESC, last_seen_at DESC LIMIT 100";
constexpr const char* kLetters =
    "SELECT coalesce(type, '?'), state, left(reason, 200), count(*) FROM homeward.dead_letter"
    " WHERE state IN ('open', 'parked') GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 20";
/// Sessions of this role that are in a statement, as every consumer of it has them: what any user
/// may see of their own. The order is that of enum Wait.
constexpr const char* kWaitsSql =
    "SELECT CASE WHEN wait_event_type IS NULL THEN 0"
    "  WHEN wait_event_type = 'Lock' THEN 1"
    "  WHEN wait_event_type = 'IO' OR wait_event ~ '^WAL.*(Write|Sync)' THEN 2"
    "  WHEN wait_event_type = 'LWLock' THEN 1"
    "  WHEN wait_event = 'SyncRep' THEN 3"
    "  WHEN wait_event_type = 'Client' THEN 4 ELSE 5 END, count(*),"
    "  max(CASE WHEN wait_event_type = 'Lock' THEN (pg_blocking_pids(pid))[1] END)"
    " FROM pg_stat_activity WHERE usename = current_user AND datname = current_database()"
    "  AND application_name = current_setting('application_name')"
    "  AND pid <> pg_backend_pid() AND state = 'active' GROUP BY 1";
constexpr const char* kHolderSql =
    "SELECT 'session ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '')"
    "  || coalesce(' for ' || round(extract(epoch FROM now() - xact_start)) || ' s', '')"
    " FROM pg_stat_activity WHERE pid = $1";

}  // namespace

LeaderView read_leader_view(PgConnection& leader) {
    LeaderView view;
    const QueryResult states = leader.query(kStates);
    for (int i = 0; i < states.rows(); ++i) {
        view.states[std::string(states.at(i, 0))] = states.number(i, 1);
    }
    const QueryResult origins = leader.query(kOrigins);
    for (int i = 0; i < origins.rows(); ++i) {
        const auto text = [&](int column) { return std::string(origins.at(i, column)); };
        view.origins.push_back({text(0), text(1), text(2), text(3), text(4), origins.number(i, 5),
                                origins.number(i, 6), origins.number(i, 7), text(8),
                                origins.number(i, 9)});
    }
    const QueryResult letters = leader.query(kLetters);
    for (int i = 0; i < letters.rows(); ++i) {
        const auto text = [&](int column) { return std::string(letters.at(i, column)); };
        view.letters.push_back({text(0), text(1), text(2), letters.number(i, 3)});
    }
    return view;
}

WaitSample sample_waits(PgConnection& leader) {
    WaitSample sample;
    const QueryResult found = leader.query(kWaitsSql);
    for (int i = 0; i < found.rows(); ++i) {
        const auto wait = static_cast<std::size_t>(found.number(i, 0));
        sample.waits.seen.at(wait) = static_cast<std::size_t>(found.number(i, 1));
        if (found.is_null(i, 2)) continue;
        const QueryResult holder = leader.query(kHolderSql, {found.number(i, 2)});
        if (holder.rows() > 0) sample.lock_holder = holder.at(0, 0);
    }
    return sample;
}

}  // namespace homeward::consumer
