#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// One condition of `--where`: a field of the type, or "extra.KEY", has this value.
struct FieldValue {
    std::string field;
    std::string value;
};

struct ErasureResult {
    std::int64_t rows = 0;
    std::int64_t dead_letters = 0;
    /// Dead letters that are no JSON and contain every value as text: for an operator to judge.
    std::vector<std::int64_t> doubtful_letters;
    std::int64_t open_conflicts = 0;  ///< quarantined frames, which are not looked into
};

/// Deletes the events of a type that meet every condition, dead letters included, in transactions
/// of some MB each. How far it has come is kept on the leader, so that the same conditions go on
/// where a broken-off erasure stopped. Events may move meanwhile, as other erasures, packing,
/// repack and redrive do: whatever is found then is erased, too. Borrows all it is given; wants the
/// owner's role.
class Erasure {
  public:
    /// Throws UsageError when the type has no such field.
    Erasure(PgConnection& leader, const std::string& event_schema, const EventType& type,
            std::vector<FieldValue> conditions);

    /// Whether conditions like these were broken off before.
    bool is_resumed();
    /// `on_progress` hears how many of how many MB of the type's partitions have been looked at; it
    /// begins anew when events have moved. Throws LeaderError (55006) when they go on moving.
    using Progress = std::function<void(std::size_t done, std::size_t all)>;
    ErasureResult run(const Progress& on_progress);
    /// What run() would delete.
    ErasureResult count();

  private:
    struct Partition {
        std::int64_t oid;
        std::string name;  ///< quoted
        bool is_packed;    ///< its rows are packs
    };
    std::vector<Partition> partitions();
    std::int64_t blocks_of(const Partition& partition);
    std::vector<Parameter> values() const;
    std::string delete_rows(const Partition& partition, const std::string& blocks) const;
    std::string delete_packed(const Partition& partition, const std::string& blocks) const;
    void erase_blocks(const Partition& partition, std::int64_t first, std::int64_t end);
    void erase_partition(const Partition& partition, std::int64_t first,
                         const std::function<void(std::int64_t)>& on_block);
    void erase_events(const Progress& on_progress);
    std::int64_t count_events(const std::string& until);
    void erase_letters(ErasureResult& result);
    std::int64_t match_letters(const QueryResult& letters, std::vector<std::int64_t>& matching,
                               ErasureResult& result) const;
    bool matches(const nlohmann::json& event) const;
    void begin();

    PgConnection& leader_;
    std::string event_schema_;
    const EventType type_;  ///< with_former_fields()
    std::vector<FieldValue> conditions_;
    std::string where_;  ///< with $1 … for the values
    std::string digest_;
    std::int64_t id_ = 0;
};

}  // namespace homeward::consumer
