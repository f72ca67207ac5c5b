#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"
#include "schemas/types/embedded.hpp"

namespace homeward::consumer {

/// The ledger's migrations on one leader: which are missing, and whether those that ran are the
/// ones that this program knows.
///
/// Each version runs once. Versions may be missing between others, since parallel work lands out of
/// order; the missing ones run in the order of their numbers. One thread.
class Migrations {
  public:
    explicit Migrations(PgConnection& leader) : leader_(leader) {}

    /// What the leader lacks, in order. Throws LeaderError:
    /// HW003 when the leader has a version that this program does not know;
    /// HW006 when a migration ran with another text, or the tables, views, indexes and functions
    /// are not those that the migrations made. Both name what differs.
    std::vector<const Migration*> missing();
    /// Whether the leader still lacks this one.
    bool is_missing(const Migration& migration);
    /// Runs one in the transaction at hand, and records its checksum and the objects that it
    /// changed.
    void run(const Migration& migration);
    /// As run() does it, for an operator to read.
    static std::string statement(const Migration& migration);

  private:
    struct Record {
        std::string name;
        std::string checksum;  ///< empty: from before checksums were recorded
        bool operator==(const Record&) const = default;
    };
    /// (kind, name) → what it consists of.
    using Objects = std::map<std::pair<std::string, std::string>, std::string>;

    bool exists(const std::string& relation);
    std::map<int, Record> applied();
    void compare_texts(const std::map<int, Record>& applied) const;
    void compare_objects(const std::map<int, Record>& applied);
    Objects objects_now();
    Objects recorded_objects();
    void record(const Objects& before, const Objects& after);

    PgConnection& leader_;
};

}  // namespace homeward::consumer
