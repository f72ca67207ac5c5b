#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace homeward::testing {

/// One value for one column, as an event has it and as PostgreSQL reads it.
struct ColumnSample {
    enum class Fate : std::uint8_t {
        as_postgres,  ///< taken exactly if PostgreSQL takes the text, and then equal to it
        refused,      ///< although PostgreSQL takes the text
        taken,        ///< as the text says, although PostgreSQL would not read it so
    };
    std::string column;
    std::string json;  ///< the value in the event
    std::string text;  ///< for '…'::type
    Fate fate = Fate::as_postgres;
};

/// More than 800, of every column and array of types/every_column.json: chosen ones, and
/// pseudorandom ones that are the same in every run.
std::vector<ColumnSample> column_samples();

/// What each type of column takes, refuses and changes, as the Markdown table of schemas/README.md.
std::string column_table();

}  // namespace homeward::testing
