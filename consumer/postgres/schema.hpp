#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "consumer/base/config.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/postgres/schema_comments.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// The shipped event types, as overrides of schema.types_dir change them, and the user's own;
/// throws SchemaError.
std::vector<EventType> known_event_types(const Config& config);

/// The type of a field's column, as PostgreSQL's format_type() prints it.
std::string catalog_name(const Field& field);

/// The ledger and the event tables, brought up to date additively: nothing is dropped, narrowed or
/// renamed. Each transaction locks homeward.migration, so that any number of consumers may start at
/// once.
class Schema {
  public:
    Schema(PgConnection& leader, const Config& config) : leader_(leader), config_(config) {}

    /// The statements that apply() would run; empty when everything is there. Throws LeaderError:
    /// what Migrations::missing() throws, and 42804 when a table has a column of another type than
    /// the event type wants, or cannot be the type's table at all.
    std::vector<std::string> plan(const std::vector<EventType>& types);
    /// Waits for its locks in short turns, so that nobody who writes waits behind it for long.
    /// `drift`: gets the columns of another type than wanted, which are an exception otherwise.
    void apply(const std::vector<EventType>& types, std::set<std::string>* drift = nullptr);

  private:
    std::vector<std::string> plan_tables(const std::vector<EventType>& types);
    std::string table_sql(const EventType& type);
    std::string relation_kind(const std::string& table);
    bool is_event_table(const std::string& table);
    bool has_packs(const EventType& type);
    void plan_packed(const EventType& type, bool is_packed_already,
                     std::vector<std::string>& statements);
    void plan_columns(const EventType& type, std::vector<std::string>& statements);
    void plan_indexes(const EventType& type, std::vector<std::string>& statements);
    void plan_storage(const EventType& type, std::vector<std::string>& statements);
    void plan_comments(const EventType& type, Commented relation,
                       std::vector<std::string>& statements);
    std::string index_sql(const EventType& type, const Index& index);
    std::string registration(const EventType& type);
    bool is_registered(const EventType& type);
    void make_migration_table();
    void run(const std::function<void()>& work);
    std::string qualified(const std::string& table);

    PgConnection& leader_;
    const Config& config_;
    std::set<std::string>* drift_ = nullptr;
};

}  // namespace homeward::consumer
