#include <algorithm>
#include <array>
#include <utility>

#include "schemas/types/column_type.hpp"

namespace homeward {
namespace {

using Named = std::pair<ColumnType, std::string_view>;

constexpr std::array<Named, 12> kNames{{
    {ColumnType::text, "text"},
    {ColumnType::int2, "smallint"},
    {ColumnType::int4, "integer"},
    {ColumnType::int8, "bigint"},
    {ColumnType::float4, "real"},
    {ColumnType::float8, "double precision"},
    {ColumnType::numeric, "numeric"},
    {ColumnType::boolean, "boolean"},
    {ColumnType::timestamptz, "timestamptz"},
    {ColumnType::uuid, "uuid"},
    {ColumnType::inet, "inet"},
    {ColumnType::jsonb, "jsonb"},
}};

}  // namespace

std::string_view sql_name(ColumnType type) {
    const auto* found = std::find_if(kNames.begin(), kNames.end(),
                                     [type](const Named& named) { return named.first == type; });
    return found->second;
}

std::optional<ColumnType> parse_column_type(std::string_view name) {
    const auto* found = std::find_if(kNames.begin(), kNames.end(),
                                     [name](const Named& named) { return named.second == name; });
    if (found == kNames.end()) return std::nullopt;
    return found->first;
}

ColumnType default_column(FieldKind kind) {
    switch (kind) {
        case FieldKind::text:
            return ColumnType::text;
        case FieldKind::integer:
            return ColumnType::int8;
        case FieldKind::real:
            return ColumnType::float8;
        case FieldKind::boolean:
            return ColumnType::boolean;
        case FieldKind::timestamp:
            return ColumnType::timestamptz;
        case FieldKind::uuid:
            return ColumnType::uuid;
        case FieldKind::inet:
            return ColumnType::inet;
        case FieldKind::json:
            return ColumnType::jsonb;
    }
    return ColumnType::text;
}

bool can_store(FieldKind kind, ColumnType column) {
    switch (kind) {
        case FieldKind::integer:
            return column == ColumnType::int2 || column == ColumnType::int4 ||
                   column == ColumnType::int8 || column == ColumnType::numeric;
        case FieldKind::real:
            return column == ColumnType::float4 || column == ColumnType::float8 ||
                   column == ColumnType::numeric;
        default:
            return column == default_column(kind);
    }
}

}  // namespace homeward
