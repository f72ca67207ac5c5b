// One line of JSON: it is a row of as many columns as its table has, each of them what its type
// can hold, or it is none and says why. Half of the inputs stand in the place of a value, or they
// would hardly ever get as far as one.

#include <simdjson.h>

#include <array>
#include <nlohmann/json.hpp>

#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using fuzz::require;

namespace {

constexpr std::size_t kOwnColumnsInFront = 3;  // origin, seq, time

const EventType& every_column() {
    static const auto types = load_event_types(HOMEWARD_SAMPLE_TYPES);
    return types.at(0);
}

bool is_text(const std::string& bytes) {
    return bytes.find('\0') == std::string::npos &&
           simdjson::validate_utf8(bytes.data(), bytes.size());
}

// Numbers beyond a double are JSON too (numeric and jsonb hold them), but nlohmann stops there.
struct SyntaxCheck : nlohmann::json_sax<nlohmann::json> {
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool start_object(std::size_t) override { return true; }
    bool key(string_t&) override { return true; }
    bool end_object() override { return true; }
    bool start_array(std::size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(std::size_t position, const std::string& token,
                     const nlohmann::json::exception& error) override {
        constexpr int kNumberOverflow = 406;
        if (error.id != kNumberOverflow) return false;
        overflow_begin = position - token.size();
        overflow_size = token.size();
        return false;
    }

    std::size_t overflow_begin = 0;
    std::size_t overflow_size = 0;  // 0: no number was too large
};

bool is_json(std::string text) {
    while (true) {
        SyntaxCheck check;
        if (nlohmann::json::sax_parse(text, &check)) return true;
        if (check.overflow_size == 0) return false;
        text.replace(check.overflow_begin, check.overflow_size, "0");
    }
}

bool is_jsonb(const std::string& bytes) {
    return bytes.at(0) == 1 && is_text(bytes) && is_json(bytes.substr(1));
}

void check_scalar(const Field& field, const std::string& bytes) {
    switch (field.column) {
        case ColumnType::text:
            require(is_text(bytes));
            break;
        case ColumnType::jsonb:
            require(is_jsonb(bytes));
            break;
        case ColumnType::int2:
            require(bytes.size() == 2);
            break;
        case ColumnType::int4:
        case ColumnType::float4:
            require(bytes.size() == 4);
            break;
        case ColumnType::int8:
        case ColumnType::float8:
        case ColumnType::timestamptz:
            require(bytes.size() == 8);
            break;
        case ColumnType::boolean:
            require(bytes == std::string(1, '\0') || bytes == "\1");
            break;
        case ColumnType::uuid:
            require(bytes.size() == 16);
            break;
        case ColumnType::inet:
            require(bytes.size() == 8 || bytes.size() == 20);
            break;
        case ColumnType::numeric:
            require(bytes.size() >= 8 && bytes.size() % 2 == 0);
            break;
    }
}

std::string line_of(fuzz::Bytes& input) {
    const auto choice = input.take<std::uint8_t>();
    const std::string text(input.take_text(input.size()));
    const auto& fields = every_column().fields;
    if (choice % 2 == 0) return text;
    const std::string quote = choice % 4 == 1 ? "\"" : "";
    return R"({"type":"every_column",")" + fields[choice / 4 % fields.size()].name + "\":" + quote +
           text + quote + "}";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static testing::SampleDecoder decoder;  // it must survive every line
    fuzz::Bytes input(data, size);
    const std::string line = line_of(input);
    const auto outcome = decoder.decode(line);  // throws when row and columns disagree
    if (outcome.kind == consumer::EventOutcome::Kind::bad) require(!outcome.reason.empty());
    if (outcome.kind != consumer::EventOutcome::Kind::row) return 0;
    require(is_json(line));
    const auto columns = testing::read_copy_row(decoder.rows);
    const auto& fields = every_column().fields;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const auto& column = columns[i + kOwnColumnsInFront];
        if (column && !fields[i].array) check_scalar(fields[i], *column);
    }
    if (columns.back()) require(is_jsonb(*columns.back()));
    return 0;
}
