#pragma once

#include <string>
#include <vector>

#include "tests/support/servers/postgres_server.hpp"

namespace homeward::testing {

/// A database with a ledger of its own, and no NATS. All share one PostgreSQL, since each start
/// takes seconds; its lock table has room for some 500 locks.
class LedgerDatabase {
  public:
    LedgerDatabase();

    /// homeward-consumer with these words, on this database.
    CommandResult consumer(const std::vector<std::string>& words) const;
    Process start_consumer(const std::vector<std::string>& words, const std::string& log) const;
    /// Rows as psql prints them: fields between |, without the last line's end.
    std::string ask(const std::string& sql) const;
    /// What it says when it fails.
    std::string failure(const std::string& sql) const;
    Process start_psql(const std::string& sql) const;
    std::int64_t number(const std::string& sql) const { return std::stoll(ask(sql)); }

    /// An origin of class audit whose seqs 1 … `events` are settled, without rows; its number.
    int add_origin(int events);
    /// Its rows of audit_events, a second apart, in the day so many days ago, made when missing.
    void add_rows(int origin, int seq_first, int seq_last, int days_ago) const;
    /// A dead letter of that origin's seq, with this payload, of type audit.
    void add_letter(int origin, int seq, const std::string& payload,
                    const std::string& state) const;
    /// Counts every day that is over; returns how many.
    int count_days() const;

  private:
    static PostgresServer& server();
    std::string url() const;
    ProcessOptions options() const;

    std::string name_;
};

}  // namespace homeward::testing
