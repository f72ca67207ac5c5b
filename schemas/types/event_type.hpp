#pragma once

// An event type: a name, its fields and its table on the leader. Written as JSON Schema with an
// `x-homeward` block; see schemas/README.md for every keyword that is understood.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/event_class.hpp>

namespace homeward {

/// What a field's JSON value is; arrays hold one of the scalar kinds (text … inet).
enum class FieldKind : std::uint8_t {
    text,       ///< {"type":"string"}                          → text
    integer,    ///< {"type":"integer"}                         → bigint
    real,       ///< {"type":"number"}                          → double precision
    boolean,    ///< {"type":"boolean"}                         → boolean
    timestamp,  ///< {"type":"string","format":"date-time"}     → timestamptz
    uuid,       ///< {"type":"string","format":"uuid"}          → uuid
    inet,       ///< {"type":"string","format":"ip"}            → inet
    json,       ///< {"type":"object"}, or "x-homeward":{"column":"jsonb"}  → jsonb
};

/// How PostgreSQL stores it. The default for each kind stands beside FieldKind; a field's own
/// `"x-homeward": {"column": "smallint"}` overrides it within what the kind can be read as.
enum class ColumnType : std::uint8_t {
    text,
    int2,
    int4,
    int8,
    float4,
    float8,
    numeric,
    boolean,
    timestamptz,
    uuid,
    inet,
    jsonb,
};
/// The SQL spelling: "text", "smallint", "integer", "bigint", "real", "double precision", …
std::string_view sql_name(ColumnType type);

/// What a field of kind json takes.
enum class JsonShape : std::uint8_t {
    any,     ///< any JSON value; null is a value, too
    object,  ///< {"type":"object"}
    array,   ///< {"type":"array"} with "x-homeward":{"column":"jsonb"}
};

struct Field {
    std::string name;  ///< JSON key and column name: [a-z_][a-z0-9_]{0,62}, none of the reserved
    FieldKind kind = FieldKind::text;
    ColumnType column = ColumnType::text;
    JsonShape shape = JsonShape::any;  ///< of kind json
    bool array = false;
    bool required = false;
    std::uint32_t length_max = 0;  ///< "maxLength" in code points; 0: only kFieldBytesMax bounds it
    std::vector<std::string> allowed;  ///< "enum"; empty: anything
    std::optional<double> minimum;
    std::optional<double> maximum;
    std::string description;
};

inline constexpr std::uint32_t kFieldBytesMax = 64u << 10;
inline constexpr std::size_t kFieldsMax = 64;

struct Index {
    std::vector<std::string> columns;
    std::string method = "btree";  ///< btree, brin, gin, hash
};

enum class Partitioning : std::uint8_t { none, day };

struct EventType {
    std::string name;  ///< [a-z][a-z0-9_]{0,47}
    EventClass event_class = EventClass::audit;
    std::string
        table;  ///< schema-less table name in the leader's event schema; [a-z][a-z0-9_]{0,47}
    std::vector<Field> fields;
    Partitioning partitioning = Partitioning::none;
    std::uint32_t retention_days = 0;  ///< 0: for ever
    std::vector<Index> indexes;        ///< besides the BRIN index on time that each table gets
    /// By column: plain, external, extended or main (where PostgreSQL keeps long values), pglz or
    /// lz4 (how it compresses them).
    std::map<std::string, std::string> storage;
    /// Several events to a row of the table, instead of one. Only with partitions by day.
    bool is_packed = false;
    std::string description;

    const Field* find(std::string_view field_name) const;
};

/// Columns that every event table has before the fields of its type, in this order:
///   origin int4, seq int8, time timestamptz, … fields …, extra jsonb (keys the type doesn't name)
/// A field may not have one of these names, nor "type".
inline constexpr std::string_view kReservedNames[] = {"type", "origin", "seq", "time", "extra"};

/// Says file, line and keyword, what is wrong and what is understood instead.
class SchemaError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Throws SchemaError. `file_name` is only for messages.
EventType parse_event_type(std::string_view json_text, std::string_view file_name);
EventType load_event_type(const std::filesystem::path& file);
/// Every *.json of a directory but overrides of shipped types, sorted by name; two types of one
/// name or one table are refused.
std::vector<EventType> load_event_types(const std::filesystem::path& directory);

}  // namespace homeward
