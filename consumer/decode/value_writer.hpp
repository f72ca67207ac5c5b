#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "consumer/decode/copy_row.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// A value as the parser has it, and as it stands in the text. A number that the parser has no room
/// for is null to it; see number_text.hpp.
struct Value {
    simdjson::dom::element parsed;
    std::string_view text;

    bool is_null() const { return text.front() == 'n'; }
};

/// `text` between quotes, as far as a person wants to see it, and as a text column takes it.
std::string in_quotes(std::string_view text);

/// jsonb refuses the escape \u0000: each becomes U+FFFD. Returns how many.
std::uint64_t replace_nul_escapes(std::string& json);

/// Writes values into the columns of a row; one thread. Borrows all that it is given.
class ValueWriter {
  public:
    ValueWriter(CopyRow& row, std::string& scratch, std::uint64_t& replaced_nuls)
        : row_(row), scratch_(scratch), replaced_nuls_(replaced_nuls) {}

    /// False: it does not fit; reason() says why, for an operator.
    bool write(const Field& field, const Value& value);
    // Values of columns, of fields whose kind fits (ColumnRows); what JSON has for them would be
    // written as the same bytes.
    bool write_text(const Field& field, std::string_view text);
    bool write_decimal(const Field& field, std::string_view digits);
    bool write_integer(const Field& field, std::int64_t number);
    bool write_real(const Field& field, double number);
    bool write_timestamp(const Field& field, std::int64_t time_us);
    void write_boolean(bool value) { row_.boolean(value); }
    void write_null() { row_.null(); }
    void write_jsonb(std::string_view json) { row_.jsonb(json); }
    bool write_uuid(const Field& field, std::string_view text);
    bool write_inet(const Field& field, std::string_view text);
    /// Keys that the type does not name, as the text of a JSON object.
    bool write_extra(std::string& json);

    const std::string& reason() const { return reason_; }

  private:
    bool mismatch(const Field& field, std::string_view what);
    bool write_array(const Field& field, const Value& value);
    bool write_scalar(const Field& field, const Value& value);
    bool write_text(const Field& field, const Value& value);
    bool write_integer(const Field& field, const Value& value);
    bool write_real(const Field& field, const Value& value);
    bool write_double(const Field& field, const Value& value);
    bool write_float(const Field& field, const Value& value);
    bool write_decimal(const Field& field, const Value& value);
    bool write_boolean(const Field& field, const Value& value);
    bool write_timestamp(const Field& field, const Value& value);
    bool write_json(const Field& field, const Value& value);
    bool write_converted(const Field& field, std::string_view text,
                         bool (*append)(std::string_view, std::string&), std::string_view what);
    bool in_bounds(const Field& field, double number);
    std::string_view without_nul(std::string_view text);

    CopyRow& row_;
    std::string& scratch_;
    std::uint64_t& replaced_nuls_;
    std::string reason_;
};

}  // namespace homeward::consumer
