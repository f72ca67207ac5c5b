#include <array>

#include "tests/consumer/decode/column_samples.hpp"

namespace homeward::testing {

std::string column_table() {
    struct Row {
        const char *column, *taken, *refused, *changed;
    };
    constexpr std::array<Row, 9> kRows{{
        {"text", "strings up to 64 KiB and `maxLength`, of the `enum`", "other JSON values",
         "NUL becomes U+FFFD"},
        {"smallint, integer, bigint", "whole numbers in range", "`1.0`, `1e2`, strings", ""},
        {"real, double precision", "numbers in range; `\"NaN\"`, `\"Infinity\"`, `\"-Infinity\"`",
         "strings of digits; what would become zero", "rounded once, to the nearest; `-0.0` stays"},
        {"numeric",
         "numbers with up to 131,072 digits in front of the point and 16,383 behind it, also as "
         "strings; `\"NaN\"`, and on PostgreSQL 14 the infinities",
         "spaces, `+1`; of an integer field, `1.0` and `1e2`", "nothing: every digit is kept"},
        {"boolean", "`true`, `false`", "`1`, `\"t\"`", ""},
        {"timestamptz", "RFC 3339 text; whole microseconds since 1970-01-01 UTC",
         "dates, times without an offset, `infinity`, 24:00",
         "more than six digits of a second are rounded, as PostgreSQL does"},
        {"uuid", "32 hex digits, alone or as 8-4-4-4-12", "braces, other groups", ""},
        {"inet", "an address, or one with its prefix length", "`010.0.0.1`", ""},
        {"jsonb",
         "any JSON value, `null` included; of an object field, objects; numbers as numeric",
         "numbers beyond numeric; of an object field, all else (`null` leaves it out)",
         "`\\u0000` becomes U+FFFD; of duplicate keys, jsonb keeps the last"},
    }};
    std::string table =
        "| column | takes | refuses, though `'…'::type` may take it | changes "
        "|\n|---|---|---|---|\n";
    for (const Row& row : kRows) {
        table.append("| ").append(row.column).append(" | ").append(row.taken).append(" | ");
        table.append(row.refused).append(" | ").append(row.changed).append(" |\n");
    }
    return table;
}

}  // namespace homeward::testing
