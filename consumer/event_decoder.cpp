#include "consumer/event_decoder.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

#include "consumer/column_value.hpp"
#include "consumer/copy_row.hpp"
#include "consumer/value_scanner.hpp"
#include "schemas/event.hpp"
#include "schemas/frame.hpp"
#include "schemas/json_text.hpp"

namespace homeward::consumer {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

std::size_t code_points(std::string_view text) {
    std::size_t count = 0;
    for (char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
    return count;
}

/// Whole characters only: the reason is kept as text, which half of one is not.
std::string in_quotes(std::string_view text) {
    constexpr std::size_t kShownMax = 64;
    const std::string_view shown = whole_characters(text, kShownMax);
    return "\"" + std::string(shown) + (shown.size() < text.size() ? "…" : "") + "\"";
}

/// jsonb refuses the escape \u0000. Backslashes come in pairs unless they begin an escape.
std::uint64_t replace_nul_escapes(std::string& json) {
    std::uint64_t replaced = 0;
    for (std::size_t at = json.find('\\'); at != std::string::npos; at = json.find('\\', at)) {
        if (json.compare(at, 6, "\\u0000") == 0) {
            json.replace(at, 6, kReplacement);
            ++replaced;
        } else {
            at += 2;
        }
    }
    return replaced;
}

template <typename Int>
bool in_range(std::int64_t value) {
    return value >= std::numeric_limits<Int>::min() && value <= std::numeric_limits<Int>::max();
}

}  // namespace

Catalog::Catalog(std::vector<EventType> types) : types_(std::move(types)) {
    for (std::size_t i = 0; i < types_.size(); ++i) {
        index_[types_[i].name] = static_cast<int>(i);
    }
}

int Catalog::find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? -1 : found->second;
}

struct EventDecoder::Head {
    std::optional<std::string_view> type;
    std::optional<std::int64_t> time_us;
    std::int64_t count = 1;
    std::string_view reason;
};

namespace {

/// A value as the parser has it, and as it stands in the text.
struct Value {
    element parsed;
    std::string_view text;
};

}  // namespace

struct EventDecoder::Fields {
    std::vector<std::optional<Value>> values;
    std::string extra;  // "" or {"key":value,…
    std::vector<std::string_view> extra_keys;
    std::string scratch;
};

EventDecoder::Limits time_limits(const Config& config) {
    constexpr std::int64_t kDayUs = 86'400'000'000;
    return {static_cast<std::int64_t>(config.schema.past_max_days) * kDayUs, 2 * kDayUs};
}

EventDecoder::EventDecoder(std::shared_ptr<const Catalog> catalog, Limits limits)
    : catalog_(std::move(catalog)),
      limits_(limits),
      parser_(std::make_unique<simdjson::dom::parser>()),
      fields_(std::make_unique<Fields>()) {}

EventDecoder::~EventDecoder() = default;

std::size_t EventDecoder::padding() {
    return simdjson::SIMDJSON_PADDING;
}

bool EventDecoder::fail(std::string reason) {
    reason_ = std::move(reason);
    return false;
}

/// "type" may stand twice if both say the same: a publisher puts its own in front of the app's.
bool EventDecoder::read_head(const object& event, Head& head) {
    for (const auto& [key, value] : event) {
        if (key == kTypeKey) {
            std::string_view text;
            if (value.get(text) != simdjson::SUCCESS) return fail("\"type\" is not a string");
            if (head.type && *head.type != text) {
                return fail("duplicate key \"type\" with other values: " + in_quotes(*head.type) +
                            " and " + in_quotes(text));
            }
            head.type = text;
        } else if (key == kTimeKey) {
            if (head.time_us) return fail("duplicate key \"time\"");
            std::int64_t number = 0;
            std::string_view text;
            if (value.get(number) == simdjson::SUCCESS) {
                head.time_us = number;
            } else if (value.get(text) == simdjson::SUCCESS) {
                head.time_us = parse_rfc3339(text);
                if (!head.time_us) return fail("\"time\" is not RFC 3339: " + in_quotes(text));
            } else {
                return fail("\"time\" is neither whole microseconds nor RFC 3339 text");
            }
        } else if (key == "count") {
            if (value.get(head.count) != simdjson::SUCCESS) head.count = 0;
        } else if (key == "reason") {
            if (value.get(head.reason) != simdjson::SUCCESS) head.reason = "";
        }
    }
    return head.type ? true : fail("it has no \"type\"");
}

bool EventDecoder::place_fields(const object& event, std::string_view line, const EventType& type) {
    fields_->values.assign(type.fields.size(), std::nullopt);
    fields_->extra.clear();
    fields_->extra_keys.clear();
    std::size_t expected = 0;  // publishers write fields in the type's order
    ValueScanner members(line);
    for (const auto& [key, value] : event) {
        const std::string_view text = members.next_member();
        if (key == kTypeKey || key == kTimeKey) continue;
        std::size_t index = type.fields.size();
        for (std::size_t i = 0; i < type.fields.size(); ++i) {
            const std::size_t candidate = (expected + i) % type.fields.size();
            if (type.fields[candidate].name == key) {
                index = candidate;
                break;
            }
        }
        if (index < type.fields.size()) {
            if (fields_->values[index]) return fail("duplicate key " + in_quotes(key));
            fields_->values[index] = Value{value, text};
            expected = index + 1;
            continue;
        }
        fields_->extra_keys.push_back(key);
        std::string& extra = fields_->extra;
        extra += extra.empty() ? '{' : ',';
        append_json_string(extra, key);
        extra += ':';
        extra += text;
    }
    // jsonb would keep the last of two and drop the other without a word.
    std::sort(fields_->extra_keys.begin(), fields_->extra_keys.end());
    const auto twice = std::adjacent_find(fields_->extra_keys.begin(), fields_->extra_keys.end());
    if (twice != fields_->extra_keys.end()) {
        return fail("duplicate key " + in_quotes(*twice));
    }
    if (!fields_->extra.empty()) {
        fields_->extra += '}';
        replaced_nuls_ += replace_nul_escapes(fields_->extra);
    }
    return true;
}

namespace {

/// One field's value into one column; `reason` is set when it does not fit.
class ValueWriter {
  public:
    ValueWriter(CopyRow& row, std::string& scratch, std::uint64_t& replaced_nuls)
        : row_(row), scratch_(scratch), replaced_nuls_(replaced_nuls) {}

    std::string reason;

    bool write(const Field& field, const Value& value) {
        if (value.parsed.is_null()) {
            row_.null();
            return !field.required || mismatch(field, "null, but required");
        }
        if (field.array) return write_array(field, value);
        return write_scalar(field, value);
    }

  private:
    bool mismatch(const Field& field, std::string_view what) {
        reason = "field " + in_quotes(field.name) + " is " + std::string(what);
        return false;
    }

    bool write_array(const Field& field, const Value& value) {
        simdjson::dom::array array;
        if (value.parsed.get(array) != simdjson::SUCCESS) return mismatch(field, "not an array");
        const std::size_t at =
            row_.begin_array(element_oid(field.column), static_cast<std::uint32_t>(array.size()));
        ValueScanner elements(value.text);
        for (const element& one : array) {
            const std::string_view text = elements.next_element();
            if (one.is_null()) {
                row_.null();
            } else if (!write_scalar(field, {one, text})) {
                return false;
            }
        }
        row_.end_array(at);
        return true;
    }

    bool write_scalar(const Field& field, const Value& value) {
        switch (field.kind) {
            case FieldKind::text:
                return write_text(field, value.parsed);
            case FieldKind::integer:
                return write_integer(field, value.parsed);
            case FieldKind::real:
                return write_real(field, value);
            case FieldKind::boolean:
                return write_boolean(field, value.parsed);
            case FieldKind::timestamp:
                return write_timestamp(field, value.parsed);
            case FieldKind::uuid:
                return write_converted(field, value.parsed, append_uuid, "not a UUID");
            case FieldKind::inet:
                return write_converted(field, value.parsed, append_inet, "not an IP address");
            case FieldKind::json:
                return write_json(value.text);
        }
        return mismatch(field, "of a kind that is not known");
    }

    bool write_text(const Field& field, const element& value) {
        std::string_view text;
        if (value.get(text) != simdjson::SUCCESS) return mismatch(field, "not a string");
        if (text.size() > kFieldBytesMax) return mismatch(field, "longer than 64 KiB");
        if (field.length_max > 0 && text.size() > field.length_max &&
            code_points(text) > field.length_max) {
            return mismatch(field,
                            "longer than " + std::to_string(field.length_max) + " characters");
        }
        if (!field.allowed.empty() && !is_allowed(field, text)) {
            return mismatch(field, in_quotes(text) + ", which is not among the values of its enum");
        }
        row_.text(without_nul(text));
        return true;
    }

    static bool is_allowed(const Field& field, std::string_view text) {
        for (const std::string& allowed : field.allowed) {
            if (allowed == text) return true;
        }
        return false;
    }

    std::string_view without_nul(std::string_view text) {
        if (text.find('\0') == std::string_view::npos) return text;
        scratch_.clear();
        for (char c : text) {
            if (c == '\0') {
                scratch_.append(kReplacement);
                ++replaced_nuls_;
            } else {
                scratch_ += c;
            }
        }
        return scratch_;
    }

    bool write_integer(const Field& field, const element& value) {
        std::int64_t number = 0;
        if (value.get(number) != simdjson::SUCCESS) {
            return mismatch(field, "not a whole number of 64 bits");
        }
        if (!in_bounds(field, static_cast<double>(number))) return false;
        switch (field.column) {
            case ColumnType::int2:
                if (!in_range<std::int16_t>(number)) return mismatch(field, "beyond smallint");
                row_.int2(static_cast<std::int16_t>(number));
                return true;
            case ColumnType::int4:
                if (!in_range<std::int32_t>(number)) return mismatch(field, "beyond integer");
                row_.int4(static_cast<std::int32_t>(number));
                return true;
            case ColumnType::numeric:
                return write_numeric(std::to_string(number));
            default:
                row_.int8(number);
                return true;
        }
    }

    bool write_real(const Field& field, const Value& value) {
        double number = 0;
        std::string_view text;
        if (field.column == ColumnType::numeric) return write_decimal(field, value);
        if (value.parsed.get(text) == simdjson::SUCCESS) {
            // The publisher's spelling of what JSON has no number for.
            if (!is_beyond_json(text)) return mismatch(field, "not a number");
            number = text == "NaN" ? std::nan("") : text[0] == '-' ? -HUGE_VAL : HUGE_VAL;
        } else if (value.parsed.get(number) != simdjson::SUCCESS) {
            return mismatch(field, "not a number");
        }
        if (!in_bounds(field, number)) return false;
        if (field.column == ColumnType::float4) {
            if (std::isfinite(number) && std::abs(number) > std::numeric_limits<float>::max()) {
                return mismatch(field, "beyond real");
            }
            row_.float4(static_cast<float>(number));
        } else {
            row_.float8(number);
        }
        return true;
    }

    static bool is_beyond_json(std::string_view text) {
        return text == "NaN" || text == "Infinity" || text == "-Infinity";
    }

    /// Every digit as it was written; in a string, also more than a JSON number may well have.
    bool write_decimal(const Field& field, const Value& value) {
        double number = 0;
        std::string_view digits;
        if (value.parsed.get(digits) == simdjson::SUCCESS) {
            if (is_beyond_json(digits)) return mismatch(field, "not finite, which numeric needs");
            number = std::strtod(std::string(digits).c_str(), nullptr);
        } else if (value.parsed.get(number) == simdjson::SUCCESS) {
            digits = value.text;
        } else {
            return mismatch(field, "not a number");
        }
        if (!in_bounds(field, number)) return false;
        return write_numeric(digits) || mismatch(field, "not a decimal number of a sane length");
    }

    bool write_numeric(std::string_view digits) {
        scratch_.clear();
        if (!append_numeric(digits, scratch_)) return false;
        row_.bytes(scratch_);
        return true;
    }

    bool in_bounds(const Field& field, double number) {
        if (field.minimum && number < *field.minimum) return mismatch(field, "below its minimum");
        if (field.maximum && number > *field.maximum) return mismatch(field, "above its maximum");
        return true;
    }

    bool write_boolean(const Field& field, const element& value) {
        bool flag = false;
        if (value.get(flag) != simdjson::SUCCESS) return mismatch(field, "not true or false");
        row_.boolean(flag);
        return true;
    }

    bool write_timestamp(const Field& field, const element& value) {
        std::int64_t time_us = 0;
        std::string_view text;
        if (value.get(text) == simdjson::SUCCESS) {
            const auto parsed = parse_rfc3339(text);
            if (!parsed) return mismatch(field, "not a time in RFC 3339: " + in_quotes(text));
            time_us = *parsed;
        } else if (value.get(time_us) != simdjson::SUCCESS) {
            return mismatch(field, "neither RFC 3339 text nor whole microseconds");
        }
        // PostgreSQL begins at 4714 BC; its end, 294276 AD, is beyond 64 bits of microseconds.
        if (time_us < -210'866'803'200'000'000) {
            return mismatch(field, "a time that PostgreSQL cannot hold");
        }
        row_.timestamptz(time_us);
        return true;
    }

    bool write_converted(const Field& field, const element& value,
                         bool (*append)(std::string_view, std::string&), std::string_view what) {
        std::string_view text;
        scratch_.clear();
        if (value.get(text) != simdjson::SUCCESS || !append(text, scratch_)) {
            return mismatch(field, what);
        }
        row_.bytes(scratch_);
        return true;
    }

    bool write_json(std::string_view json) {
        scratch_ = json;
        replaced_nuls_ += replace_nul_escapes(scratch_);
        row_.jsonb(scratch_);
        return true;
    }

    CopyRow& row_;
    std::string& scratch_;
    std::uint64_t& replaced_nuls_;
};

}  // namespace

bool EventDecoder::append_row(const EventType& type, std::int32_t origin, std::int64_t seq,
                              std::int64_t time_us, std::string& rows) {
    constexpr std::uint16_t kOwnColumns = 4;  // origin, seq, time, extra
    CopyRow row(rows);
    row.begin(static_cast<std::uint16_t>(type.fields.size() + kOwnColumns));
    row.int4(origin);
    row.int8(seq);
    row.timestamptz(time_us);
    ValueWriter writer(row, fields_->scratch, replaced_nuls_);
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
        const Field& field = type.fields[i];
        if (!fields_->values[i]) {
            if (field.required) return fail("field " + in_quotes(field.name) + " is missing");
            row.null();
        } else if (!writer.write(field, *fields_->values[i])) {
            return fail(writer.reason);
        }
    }
    if (fields_->extra.empty()) {
        row.null();
    } else {
        row.jsonb(fields_->extra);
    }
    return true;
}

bool EventDecoder::is_json(std::string_view text) {
    return text.size() <= kEventBytesMax * 4 &&
           parser_->parse(text.data(), text.size(), false).error() == simdjson::SUCCESS;
}

EventOutcome EventDecoder::decode(std::string_view line, std::int32_t origin, std::int64_t seq,
                                  std::int64_t time_us, std::int64_t now_us, std::string& rows) {
    EventOutcome outcome;
    const auto bad = [&](std::string reason) {
        outcome.kind = EventOutcome::Kind::bad;
        outcome.reason = std::move(reason);
        return outcome;
    };
    if (line.size() > kEventBytesMax * 4) return bad("larger than 1 MiB");
    // Newer releases of simdjson skip one: a line must not be an event here and none there.
    if (line.substr(0, 3) == "\xEF\xBB\xBF") return bad("not valid JSON: a byte order mark");
    element root;
    // false: the caller has seen to the padding, so the line is not copied.
    const auto error = parser_->parse(line.data(), line.size(), false).get(root);
    if (error != simdjson::SUCCESS) {
        return bad(std::string("not valid JSON: ") + simdjson::error_message(error));
    }
    object event;
    if (root.get(event) != simdjson::SUCCESS) return bad("not a JSON object");
    Head head;
    const bool has_head = read_head(event, head);
    if (head.type) outcome.type_name = std::string(*head.type);
    if (!has_head) return bad(reason_);
    if (*head.type == kTombstoneType) {
        if (head.count < 1 || head.count > UINT32_MAX) return bad("a tombstone with a bad count");
        outcome.kind = EventOutcome::Kind::tombstone;
        outcome.count = static_cast<std::uint32_t>(head.count);
        outcome.reason = head.reason.empty() ? "unknown" : std::string(head.reason);
        return outcome;
    }
    outcome.type = catalog_->find(*head.type);
    if (outcome.type < 0) {
        outcome.kind = EventOutcome::Kind::unknown;
        outcome.reason = "unknown event type";
        return outcome;
    }
    outcome.time_us = head.time_us.value_or(time_us);
    if (outcome.time_us < now_us - limits_.past_max_us ||
        outcome.time_us > now_us + limits_.future_max_us) {
        return bad("its time lies too far from now; see schema.past_max_days");
    }
    const EventType& type = catalog_->types()[static_cast<std::size_t>(outcome.type)];
    const std::size_t start = rows.size();
    if (!place_fields(event, line, type) || !append_row(type, origin, seq, outcome.time_us, rows)) {
        rows.resize(start);
        return bad(reason_);
    }
    outcome.kind = EventOutcome::Kind::row;
    return outcome;
}

}  // namespace homeward::consumer
