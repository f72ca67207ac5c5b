#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "consumer/ledger/origin_registry.hpp"
#include "consumer/ledger/plain_reservations.hpp"
#include "consumer/postgres/schema.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/postgres_server.hpp"

namespace homeward::consumer::testing {

using homeward::testing::PostgresServer;

inline const std::string kStream = "HOMEWARD_PLAIN_ams";
inline constexpr std::int64_t kCreatedUs = 1'795'948'541'401'433;

/// A message: its sequence in the stream, and its time.
struct Sent {
    std::int64_t seq, time_us;
    std::string app = "shop";
};

/// `count` messages of a stream, a millisecond apart; `later_us` after the first such.
inline std::vector<Sent> messages(std::int64_t first, std::int64_t count,
                                  std::int64_t later_us = 0) {
    std::vector<Sent> sent;
    for (std::int64_t seq = first; seq < first + count; ++seq) {
        sent.push_back({seq, kCreatedUs + later_us + seq * 1'000});
    }
    return sent;
}

inline Config config_of(const PostgresServer& server) {
    Config config;
    config.postgres.url = server.url();
    config.postgres.owner_url = server.url();
    config.postgres.lock_timeout_ms = 20'000;
    return config;
}

/// One writer: its connection, its batch. One thread.
class Hand {
  public:
    explicit Hand(const Config& config)
        : config_(config), leader_(std::in_place, config.postgres.url, config.postgres) {}

    void pick(const std::vector<Sent>& sent) {
        batch_.clear();
        for (const Sent& one : sent) {
            MessageWork work;
            work.kind = MessageWork::Kind::plain_event;
            work.seq_count = 1;
            work.pulled.message.delivery.stream_seq = static_cast<std::uint64_t>(one.seq);
            work.pulled.message.delivery.time_us = one.time_us;
            const auto entry = origins_.find_plain(*leader_, {kStream, kCreatedUs, "ams"}, one.app);
            work.origin = entry.origin;
            work.plain_source = entry.source;
            batch_.push_back(std::move(work));
        }
    }
    /// How many of its messages are new.
    std::size_t reserve() {
        for (MessageWork& work : batch_) work.reset();
        plain_.reserve(*leader_, batch_);
        return static_cast<std::size_t>(
            std::count_if(batch_.begin(), batch_.end(),
                          [](const MessageWork& work) { return !work.is_skipped(); }));
    }
    void begin() { leader_->execute("BEGIN; " + plain_.take_statement()); }
    void write() {
        std::string rows;
        for (const MessageWork& work : batch_) {
            if (work.is_skipped()) continue;
            rows += (rows.empty() ? "(" : ",(") + std::to_string(work.origin) + "," +
                    std::to_string(work.seq_first) + "," +
                    std::to_string(work.pulled.message.delivery.stream_seq) + "," +
                    std::to_string(work.pulled.message.delivery.time_us) + ")";
        }
        if (!rows.empty()) leader_->execute("INSERT INTO landed VALUES " + rows);
    }
    void commit() { leader_->execute("COMMIT"); }
    void roll_back() { leader_->execute("ROLLBACK"); }
    void land() {
        begin();
        write();
        commit();
    }
    /// The whole of it, as a writer does; how many were new.
    std::size_t take_all(const std::vector<Sent>& sent) {
        pick(sent);
        const std::size_t fresh = reserve();
        land();
        return fresh;
    }
    /// As kill -9 leaves it.
    void die() { leader_.emplace(config_.postgres.url, config_.postgres); }
    std::string sqlstate_of_begin() {
        try {
            begin();
            return "";
        } catch (const LeaderError& error) {
            roll_back();
            return error.sqlstate();
        }
    }

  private:
    Config config_;
    std::optional<PgConnection> leader_;
    OriginRegistry origins_;
    PlainReservations plain_;
    Batch batch_;
};

/// A leader with its schema; how its account stands. One for all, since a start takes seconds;
/// each test begins with empty tables.
class Books {
  public:
    Books() : config(config_of(server())) {
        server().query(
            "DO $$ BEGIN IF to_regclass('landed') IS NULL THEN CREATE TABLE landed (origin int4,"
            " seq int8, stream_seq int8, time_us int8); END IF; END $$");
        PgConnection leader(config.postgres.url, config.postgres);
        Schema(leader, config).apply({});
        server().query(
            "TRUNCATE landed, homeward.plain_source, homeward.plain_run, homeward.plain_batch,"
            " homeward.plain_counter, homeward.plain_unused, homeward.origin, homeward.ledger,"
            " homeward.ledger_frame, homeward.plain_stream, homeward.plain_message RESTART "
            "IDENTITY");
    }
    static PostgresServer& server() {
        static PostgresServer server;
        return server;
    }
    std::int64_t number(const std::string& sql) const { return server().number(sql); }
    std::int64_t landed() const { return number("SELECT count(*) FROM landed"); }
    std::int64_t account(const std::string& column) const {
        return number("SELECT coalesce(sum(" + column + "), 0) FROM homeward.origin_status");
    }
    /// Every message once; every settled seq one row; nothing open, and nothing accepted that was
    /// not used.
    void check(std::int64_t sent) const {
        CHECK(landed() == sent);
        CHECK(number("SELECT count(DISTINCT (stream_seq, time_us)) FROM landed") == sent);
        CHECK(number("SELECT count(DISTINCT (origin, seq)) FROM landed") == sent);
        CHECK(account("accepted") == sent);
        CHECK(account("homeward.seq_count(settled)") == sent);
        CHECK(number("SELECT count(*) FROM landed d WHERE NOT EXISTS (SELECT FROM "
                     "homeward.origin_status a"
                     " WHERE a.origin = d.origin AND a.settled @> d.seq)") == 0);
    }
    Config config;
};

}  // namespace homeward::consumer::testing
