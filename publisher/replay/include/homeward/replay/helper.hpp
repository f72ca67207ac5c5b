#pragma once

/// @file
/// All parts of the replay helper, wired from the environment: what an adapter needs.
///
/// @code
/// homeward::replay::HelperOptions options;
/// options.position_source = homeward::replay::libpq_position_source;
/// options.request_handler.cause_of = homeward::replay::libpqxx_cause;
/// const homeward::replay::Helper helper(std::move(options));
/// const auto replay = homeward::replay::install(server, helper);
/// @endcode

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <homeward/replay/connection_url.hpp>
#include <homeward/replay/position_source.hpp>
#include <homeward/replay/replica_poller.hpp>
#include <homeward/replay/request_handler.hpp>
#include <homeward/replay/session_consistency.hpp>
#include <homeward/replay/token.hpp>

namespace homeward::replay {

/// Makes what the poller queries, from the replica's connection string.
using PositionSourceMaker = std::function<std::unique_ptr<PositionSource>(const std::string& url)>;

/// The parts of a Helper. Each one that is not set comes from the environment, or has its default.
struct HelperOptions {
    /// Where this process runs. Default: PRIMARY_REGION and FLY_REGION. If neither is set there is
    /// only one region.
    std::optional<Regions> regions{};
    /// The database of this region. Default: DATABASE_URL and DATABASE_REPLICA_URL, _PORT, _RULE,
    /// as url_from_environment() reads them.
    std::optional<RegionalUrl> database{};
    /// Keys that sign session tokens, the current one first. Default: HOMEWARD_REPLAY_KEYS,
    /// "k2:<hex>,k1:<hex>", the same in every region. Empty: no tokens, so sessions do not read
    /// their own writes. Required if there are several regions and `reads.mode` is session.
    std::optional<std::vector<TokenKey>> keys{};
    TokenOptions tokens{};              ///< how long tokens count
    SessionConsistencyOptions reads{};  ///< how stale reads may be; the cookie
    PollOptions poll{};                 ///< when the replica is queried
    /// Called in a replica region, for the poller, and in the primary region, for the server's role
    /// after an error: libpq_position_source of libpq.hpp. What it makes connects when it is asked.
    PositionSourceMaker position_source{};
    /// Policy and the app's functions. If empty, `look` compares session tokens, and
    /// `answer.accel_prefix` is REPLAY_ACCEL_PREFIX, for nginx in the place of the platform's
    /// proxy.
    RequestHandlerOptions request_handler{};
};

/// The replay helper of one process: regions, database, session tokens, the replica's poller, and
/// the request handler that joins them. Any thread; it must outlive the server. A forking server
/// makes one in each child: the poller is a thread, which fork() does not copy. With the parent's
/// helper, a child in a replica region sends the reads of all sessions to the primary.
class Helper {
  public:
    /// Reads the environment for parts that are not set, and starts the poller in a replica region.
    /// Not while another thread changes the environment.
    /// @param options parts to replace
    /// @throws std::invalid_argument if a variable is missing or wrong; what() names it and says
    ///     what to set. It repeats no connection string and no key
    explicit Helper(HelperOptions options = {});

    /// Where this process runs.
    /// @return they never change
    const Regions& regions() const { return regions_; }
    /// The database to read from, and whether it is a replica.
    /// @return it never changes, and has no error
    const RegionalUrl& database() const { return database_; }
    /// The rules applied to requests, for adapters, and the counters.
    /// @return lives as long as this object
    const RequestHandler& request_handler() const { return *request_handler_; }
    /// Session tokens.
    /// @return nullptr without keys
    const SessionConsistency* reads() const { return reads_ ? &*reads_ : nullptr; }
    /// What queries the replica's position.
    /// @return nullptr in the primary region, and without keys
    const ReplicaPoller* poller() const { return poller_.get(); }

    /// Puts what the session has now seen into the answer's cookie and header; nothing without
    /// keys. libpq.hpp and libpqxx.hpp have note_commit(), which asks the connection.
    /// @param seen of committed_position()
    /// @param result of the handler that committed
    void remember(const Position& seen, HandlerResult& result) const;

  private:
    Regions regions_;
    RegionalUrl database_;
    std::unique_ptr<ReplicaPoller> poller_;
    std::optional<SessionConsistency> reads_;
    std::optional<RequestHandler> request_handler_;
};

}  // namespace homeward::replay
