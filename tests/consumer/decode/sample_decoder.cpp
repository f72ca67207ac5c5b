#include "tests/consumer/decode/sample_decoder.hpp"

#include <stdexcept>

namespace homeward::testing {
namespace {

constexpr std::size_t kOwnColumnsInFront = 3;  // origin, seq, time

std::uint32_t take_number(std::string_view& bytes, std::size_t count) {
    if (bytes.size() < count) throw std::runtime_error("the row is cut short");
    std::uint32_t value = 0;
    for (char c : bytes.substr(0, count)) value = value << 8 | static_cast<unsigned char>(c);
    bytes.remove_prefix(count);
    return value;
}

}  // namespace

std::vector<std::optional<std::string>> read_copy_row(std::string_view row) {
    std::vector<std::optional<std::string>> columns(take_number(row, 2));
    for (auto& column : columns) {
        const std::uint32_t length = take_number(row, 4);
        if (length == UINT32_MAX) continue;
        if (length > row.size()) throw std::runtime_error("a column is longer than its row");
        column = std::string(row.substr(0, length));
        row.remove_prefix(length);
    }
    if (!row.empty()) throw std::runtime_error("bytes are left behind the last column");
    return columns;
}

std::string big_endian(std::uint64_t value, std::size_t bytes) {
    std::string text(bytes, '\0');
    for (std::size_t i = bytes; i-- > 0; value >>= 8) text[i] = static_cast<char>(value & 0xff);
    return text;
}

SampleDecoder::SampleDecoder()
    : catalog_(std::make_shared<const consumer::Catalog>(load_event_types(HOMEWARD_SAMPLE_TYPES))),
      decoder_(catalog_, {3'650 * kDayUs, 2 * kDayUs}) {}

consumer::EventOutcome SampleDecoder::decode(std::string line) {
    line.reserve(line.size() + consumer::EventDecoder::padding());
    rows.clear();
    auto outcome = decoder_.decode(line, {1, 2, kNowUs}, kNowUs, rows);
    // Invariant: a row is there exactly when the outcome says so, and it is whole.
    if (rows.empty() != (outcome.kind != consumer::EventOutcome::Kind::row)) {
        throw std::runtime_error("the outcome and the rows disagree: " + line);
    }
    if (!rows.empty() && read_copy_row(rows).size() != catalog_->types()[0].fields.size() + 4) {
        throw std::runtime_error("a row with another number of columns than its table: " + line);
    }
    return outcome;
}

std::string SampleDecoder::refusal(const std::string& line) {
    const auto outcome = decode(line);
    return outcome.kind == consumer::EventOutcome::Kind::row ? "" : outcome.reason;
}

std::string SampleDecoder::field(const std::string& fields) {
    return refusal(R"({"type":"sample",)" + fields + "}");
}

std::string SampleDecoder::value(const std::string& column, const std::string& json) {
    const std::string reason = field("\"" + column + "\":" + json);
    if (!reason.empty()) throw std::runtime_error(reason);
    const auto& fields = catalog_->types()[0].fields;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (fields[i].name == column) return read_copy_row(rows)[i + kOwnColumnsInFront].value();
    }
    throw std::runtime_error("the sample type has no field " + column);
}

std::string SampleDecoder::extra() const {
    const auto column = read_copy_row(rows).back();
    return column ? column->substr(1) : "";
}

}  // namespace homeward::testing
