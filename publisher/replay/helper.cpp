#include <homeward/replay/helper.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace homeward::replay {
namespace {

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

[[noreturn]] void refuse(const std::string& what) {
    throw std::invalid_argument(what);
}

void check_region(const char* variable, const std::string& region) {
    if (region.empty() || !replay_to(region).empty()) return;
    refuse(std::string(variable) + " is \"" + region +
           "\", which is no region name: set it to a name of a-z, 0-9, - and _, as \"ams\"");
}

Regions checked_regions(const std::optional<Regions>& given) {
    Regions regions = given ? *given : regions_from_environment();
    check_region("PRIMARY_REGION", regions.primary);
    check_region("FLY_REGION", regions.current);
    if (!regions.primary.empty() && regions.current.empty()) {
        refuse("FLY_REGION is not set, but PRIMARY_REGION is \"" + regions.primary +
               "\": set FLY_REGION to the region that this process runs in");
    }
    return regions;
}

RegionalUrl checked_database(const std::optional<RegionalUrl>& given) {
    RegionalUrl database = given ? *given : url_from_environment();
    if (database.url.empty() && !given && from_environment("DATABASE_URL").empty()) {
        refuse(
            "DATABASE_URL is not set: set it to the leader's connection string, as "
            "\"postgres://app@db.internal/shop\"");
    }
    if (database.error) refuse("no connection string for this region: " + database.error->what);
    if (database.url.empty()) refuse("HelperOptions::database has no connection string");
    return database;
}

std::vector<TokenKey> checked_keys(const HelperOptions& options, const Regions& regions) {
    constexpr const char* kHowTo =
        "set it to \"k1:\" and what `openssl rand -hex 32` prints, the same in every region";
    if (options.keys) return *options.keys;
    const std::string text = from_environment("HOMEWARD_REPLAY_KEYS");
    const bool is_single = regions.primary.empty() || regions.current.empty();
    if (text.empty() && (is_single || options.reads.mode != ReadMode::session)) return {};
    if (text.empty()) {
        refuse(std::string("HOMEWARD_REPLAY_KEYS is not set: ") + kHowTo +
               "; without it sessions do not read their own writes");
    }
    ParsedKeys parsed = keys_from_text(text);
    if (parsed.error != KeyError::none) {
        refuse("HOMEWARD_REPLAY_KEYS is wrong: " + std::string(explain(parsed.error)) + "; " +
               kHowTo);
    }
    return std::move(parsed.keys);
}

std::unique_ptr<ReplicaPoller> make_poller(const HelperOptions& options,
                                           const RegionalUrl& database) {
    if (!database.is_replica) return nullptr;  // the primary has nothing to wait for
    if (!options.position_source) {
        refuse(
            "HelperOptions::position_source is empty in a replica region: set it to "
            "libpq_position_source of homeward/replay/libpq.hpp, or that of libmariadb.hpp or "
            "hiredis.hpp");
    }
    std::unique_ptr<PositionSource> source = options.position_source(database.url);
    const auto engine = engine_of_url(database.url);
    if (engine && !shares_client(*engine, source->engine())) {
        refuse("DATABASE_URL or DATABASE_REPLICA_URL is of " + std::string(name_of(*engine)) +
               ", but HelperOptions::position_source is of " +
               std::string(name_of(source->engine())) +
               ": set it to that of libpq.hpp, libmariadb.hpp or hiredis.hpp");
    }
    return std::make_unique<ReplicaPoller>(std::move(source), options.poll);
}

/// Queries the role of the primary region's server, for handlers that met an error and did not tell
/// the role. It connects at the first question. One thread queries, others wait for its answer.
class RoleQuery {
  public:
    explicit RoleQuery(std::unique_ptr<PositionSource> source) : source_(std::move(source)) {}
    /// The connection of a forked child's parent must not be ended for the parent, too.
    ~RoleQuery() {
        if (is_of_parent()) static_cast<void>(source_.release());
    }
    RoleQuery(const RoleQuery&) = delete;
    RoleQuery& operator=(const RoleQuery&) = delete;

    ServerRole ask() {
        if (is_of_parent()) return ServerRole::unknown;
        const std::unique_lock lock(mutex_, kWaitMax);
        if (!lock) return ServerRole::unknown;
        if (Clock::now() - asked_at_ < kAnswerCounts) return role_;
        const std::optional<ReplicaPosition> answer = source_->ask();
        role_ = answer ? answer->role : ServerRole::unknown;
        asked_at_ = Clock::now();
        return role_;
    }

  private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds kWaitMax{1};
    /// Many requests that fail at once cost the server few questions.
    static constexpr std::chrono::milliseconds kAnswerCounts{100};

    bool is_of_parent() const { return getpid() != process_; }

    const pid_t process_ = getpid();
    std::timed_mutex mutex_;
    std::unique_ptr<PositionSource> source_;
    ServerRole role_ = ServerRole::unknown;
    Clock::time_point asked_at_{};
};

/// RequestHandlerOptions::ask_role, if the app has none: an empty function if nobody can tell.
std::function<ServerRole()> role_question(const HelperOptions& options, const RegionalUrl& database,
                                          const ReplicaPoller* poller) {
    if (poller != nullptr) return [poller] { return poller->role_now(); };
    if (database.is_replica || !options.position_source) return {};
    std::unique_ptr<PositionSource> source = options.position_source(database.url);
    const auto engine = engine_of_url(database.url);
    if (engine && !shares_client(*engine, source->engine())) return {};
    return [query = std::make_shared<RoleQuery>(std::move(source))] { return query->ask(); };
}

/// A route may still ask for the primary.
std::function<ReplicaStatus(const RequestView&)> look_without_tokens(
    const SessionConsistencyOptions& reads) {
    return [mode = reads.mode](const RequestView& request) {
        ReplicaStatus status;
        if (request.mode.value_or(mode) == ReadMode::strong)
            status.coverage = Coverage::primary_only;
        return status;
    };
}

}  // namespace

Helper::Helper(HelperOptions options)
    : regions_(checked_regions(options.regions)), database_(checked_database(options.database)) {
    const std::vector<TokenKey> keys = checked_keys(options, regions_);
    if (!keys.empty()) {
        TokenSigner signer(keys, options.tokens);
        poller_ = make_poller(options, database_);
        reads_.emplace(std::move(signer), poller_.get(), options.reads);
    }
    RequestHandlerOptions& request_handler = options.request_handler;
    if (!request_handler.look)
        request_handler.look = reads_ ? look_with(*reads_) : look_without_tokens(options.reads);
    if (!request_handler.ask_role) {
        request_handler.ask_role = role_question(options, database_, poller_.get());
    }
    if (request_handler.answer.accel_prefix.empty()) {
        request_handler.answer.accel_prefix = from_environment("REPLAY_ACCEL_PREFIX");
    }
    request_handler_.emplace(regions_, std::move(request_handler));
}

void Helper::remember(const Position& seen, HandlerResult& result) const {
    if (reads_) replay::remember(*reads_, seen, result);
}

}  // namespace homeward::replay
