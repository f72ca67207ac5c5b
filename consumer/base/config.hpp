#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "schemas/nats/subject.hpp"

namespace homeward::consumer {

/// Where every statement of ours says the ledger is.
inline constexpr const char* kLedgerSchema = "homeward";

/// One region whose streams are consumed.
struct Source {
    std::string region;
    std::string domain;  ///< JetStream domain of its leaf; empty: the server's own
    /// Servers that hold a copy of each stream; 3 where the region has three.
    std::size_t replicas = 1;
    std::vector<StreamKind> kinds{StreamKind::audit, StreamKind::metric, StreamKind::plain};
};

/// The whole configuration. Every scalar key `section.key` is overridden by the environment
/// variable HOMEWARD_<SECTION>_<KEY>.
struct Config {
    struct Nats {
        std::vector<std::string> urls{"nats://127.0.0.1:4222"};
        std::string credentials_file;
        /// Seed and public key of a NATS user, as `nk -gen user -pubout` prints them.
        std::string nkey_file;
        std::string tls_ca_file;
        std::string tls_cert_file;
        std::string tls_key_file;
    } nats;

    struct Postgres {
        /// libpq connection string; several hosts with target_session_attrs=read-write for failover
        std::string url = "postgresql:///postgres";
        /// Runs migrations and makes tables; empty: the same as url
        std::string owner_url;
        /// Compacts the ledger, looks after partitions and dead letters; empty: the same as url. A
        /// login of its own (homeward_upkeep) lets the writers' login do less.
        std::string upkeep_url;
        std::string event_schema = "public";
        /// No setting: only `tune` has a ledger of its own.
        std::string ledger_schema = kLedgerSchema;
        /// commit: a failover to a standby that lags loses what it lacks. replicated: the ack waits
        /// until a standby has flushed the commit, and nothing else does.
        std::string ack_after = "commit";
        std::size_t lock_timeout_ms = 10'000;
        std::size_t statement_timeout_ms = 60'000;
    } postgres;

    struct Batch {
        /// Events in one transaction. Rows per second hardly grow beyond 5,000.
        std::size_t rows_max = 20'000;
        /// Bytes of COPY data in one transaction; bounds memory.
        std::size_t bytes_max = 16u << 20;
        /// How long the first event of a batch waits for more, at most: longer is cheaper for the
        /// leader, later for the reader.
        std::size_t delay_ms = 20;
        /// Wait only as long as transactions take, twice over: a millisecond or two on an idle
        /// leader. False: always `delay_ms`.
        bool adaptive_delay = true;
        /// Transactions at a time, each with a connection of its own.
        std::size_t writers = 2;
        /// A region's app with more bad events than this in a batch is held: what of them finds no
        /// room among its dead letters waits in its stream, all others are written.
        std::size_t bad_events_max = 1'000;
    } batch;

    struct Streams {
        /// How long streams keep what is committed, for `backfill` after a leader was restored from
        /// a backup; 0: not at all. The price: a leaf's disk holds that many hours of events, and
        /// what is not consumed within that time is gone.
        std::size_t history_hours = 0;
        /// Disk of one region's stream of a kind; 0: whatever its server has. With all streams of a
        /// region unbounded, a flood of metrics fills the disk and audit is refused.
        std::size_t audit_bytes_max = 0;
        std::size_t metric_bytes_max = 0;
        std::size_t plain_bytes_max = 0;

        /// Messages of one app that a stream may hold; 0: no limit per app. With a limit, an app
        /// that floods is refused while the others of its region go on: they keep what the durable
        /// can hold (900,000 in all), and the disk too if it is at most bytes_max / 1 MiB / apps.
        /// The price: in an outage small messages are refused as early. Not with a history.
        std::size_t app_messages_max = 0;

        std::size_t bytes_max(StreamKind kind) const {
            return kind == StreamKind::audit    ? audit_bytes_max
                   : kind == StreamKind::metric ? metric_bytes_max
                                                : plain_bytes_max;
        }
    } streams;

    struct Pull {
        /// Messages fetched and not yet acknowledged, of all streams together.
        std::size_t messages_max = 8'192;
        std::size_t bytes_max = 64u << 20;
        /// After so long without a word from its consumer a message goes to another: how long what
        /// a dead consumer had in hand stands still. Deadlines are extended at a third of it.
        std::size_t ack_wait_ms = 4'000;
    } pull;

    struct Schema {
        /// Migrate and make tables at start-up.
        bool automatic = true;
        /// Event types of your own, besides audit and metric.
        std::string types_dir;
        std::size_t partitions_ahead_days = 3;
        /// Events older than this or than their type's retention, or more than two days in the
        /// future, become dead letters: each day is a partition.
        std::size_t past_max_days = 3'650;
    } schema;

    struct Ledger {
        /// How often committed frames are compacted into ranges.
        std::size_t compact_interval_ms = 5'000;
        /// After so long a finished origin is forgotten. A frame of it that comes even later, as
        /// out of an old spool or a stream's retained history, would be committed a second time.
        std::size_t forget_days = 400;
        /// Ranges of settled seqs, and so holes between them, that one origin may have. Every
        /// compaction and every check reads them all. A frame that would begin another is
        /// quarantined.
        std::size_t ranges_max = 10'000;
        /// New publishers of one region's app that are registered within a minute; one that emits
        /// both classes counts twice. Frames of further ones wait in their stream.
        std::size_t new_origins_max = 10'000;
    } ledger;

    /// Dead letters that wait, parked ones and frames in homeward.conflict included. When they are
    /// full, a frame of audit with bad events, or one that contradicts the ledger, stays in its
    /// stream, and bad metric events are only counted.
    struct DeadLetters {
        std::size_t letters_max = 1'000'000;
        std::size_t bytes_max = 1u << 30;
        /// Of one region's app: when so many wait, and batch.bad_events_max of them, it is held,
        /// and its messages with bad events wait in their stream.
        std::size_t source_letters_max = 1'000;
        /// Sources (region/app) whose frames of a newer version are bad events, as somebody makes
        /// them up. Those of all others wait in their stream for a newer consumer.
        std::vector<std::string> newer_frames_of;
    } dead_letters;

    struct Admin {
        std::string listen = "127.0.0.1:8222";  ///< empty: no admin endpoint
        /// Names under which it may be asked, besides localhost, this machine's and any address.
        std::vector<std::string> hosts;
        /// Asked for as "Authorization: Bearer …", but not for /livez and /readyz; empty: none.
        std::string token;
        std::string tls_cert_file;  ///< with its chain; empty: no TLS
        std::string tls_key_file;
    } admin;

    struct Log {
        std::string level = "info";
        std::string format = "text";  ///< or json: one object a line
    } log;

    /// What a remedy that we print begins with, so that it runs as printed: the program and the
    /// options that this process was given. Set by main().
    std::string command = "homeward-consumer";
    /// Unknown variables and retired settings, one line each for a log.
    std::vector<std::string> warnings;

    std::vector<Source> sources;
};

/// Says file and line or environment variable, what is wrong, and what is expected.
class ConfigError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Reads the file (none if empty), applies the environment, checks every bound. Throws ConfigError.
Config load_config(const std::filesystem::path& file);

/// Lines NAME=value, as systemd's EnvironmentFile has them, into the environment; what is set there
/// already stays. Throws ConfigError.
void read_env_file(const std::filesystem::path& file);

/// A connection string fit for a log: without its password.
std::string redact(const std::string& url);

}  // namespace homeward::consumer
