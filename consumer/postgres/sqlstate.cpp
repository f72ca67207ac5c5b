#include "consumer/postgres/sqlstate.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace homeward::consumer {
namespace {

struct Rule {
    std::string_view prefix;
    ErrorClass error_class;
};

// The first rule whose prefix fits decides, so the exceptions stand above their class.
constexpr Rule kRules[] = {
    {"HW001", ErrorClass::settled},  // homeward.settle(): seqs are in the ledger
    {"HW007", ErrorClass::schema},   // homeward.check_columns(): a column has another type
    {"23505", ErrorClass::settled},  // unique_violation: perhaps the ledger's own key
    {"25006", ErrorClass::retry},    // read_only_sql_transaction: look for the new leader
    {"55P03", ErrorClass::retry},    // lock_not_available
    {"55006", ErrorClass::retry},    // object_in_use
    {"0A000", ErrorClass::schema},   // feature_not_supported
    {"3D000", ErrorClass::schema},   // invalid_catalog_name: the database is not there
    {"3F000", ErrorClass::schema},   // invalid_schema_name
    {"P0001", ErrorClass::data},     // raise_exception: a user's trigger objects
    {"08", ErrorClass::retry},       // connection
    {"25", ErrorClass::retry},       // invalid transaction state, such as an idle timeout
    {"28", ErrorClass::schema},      // authorization; see has_worked
    {"40", ErrorClass::retry},       // rollback: serialization, deadlock
    {"53", ErrorClass::retry},       // resources: disk full, too many connections
    {"57", ErrorClass::retry},       // operator intervention: shutdown, cancel
    {"58", ErrorClass::retry},       // system error: I/O
    {"22", ErrorClass::data},        // data exception
    {"23", ErrorClass::data},        // integrity constraint
    {"54", ErrorClass::data},        // beyond a limit, such as a value too long for its index
    {"44", ErrorClass::data},        // WITH CHECK OPTION of a view
    {"42", ErrorClass::schema},      // a table, column or right is missing
};

bool fits(const Rule& rule, std::string_view sqlstate) {
    return sqlstate.substr(0, rule.prefix.size()) == rule.prefix;
}

}  // namespace

ErrorClass classify(std::string_view sqlstate, bool has_worked) {
    if (has_worked && sqlstate.substr(0, 2) == "28") return ErrorClass::retry;
    const auto* rule = std::find_if(std::begin(kRules), std::end(kRules),
                                    [&](const Rule& one) { return fits(one, sqlstate); });
    return rule == std::end(kRules) ? ErrorClass::unknown : rule->error_class;
}

long copy_row_of(std::string_view context, std::string_view table) {
    // The outermost line is COPY's; those before it are of triggers, and have numbers of their own.
    const std::string_view line = context.substr(context.rfind('\n') + 1);
    const std::size_t name = line.find(table);
    if (table.empty() || name == std::string_view::npos) return -1;
    std::string_view rest = line.substr(name + table.size());
    rest.remove_prefix(std::min(rest.find_first_of("0123456789"), rest.size()));
    long row = 0;
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), row);
    return parsed.ec == std::errc{} ? row - 1 : -1;
}

}  // namespace homeward::consumer
