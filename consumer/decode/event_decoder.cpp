#include "consumer/decode/event_decoder.hpp"

#include <simdjson.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "consumer/decode/column_value.hpp"
#include "consumer/decode/copy_row.hpp"
#include "consumer/decode/number_text.hpp"
#include "consumer/decode/value_scanner.hpp"
#include "consumer/decode/value_writer.hpp"
#include "schemas/text/event.hpp"
#include "schemas/text/event_text.hpp"
#include "schemas/text/json_text.hpp"
#include "schemas/text/rfc3339.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::consumer {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

/// What lies too far away is another unit, or an event of another age.
std::string explain_far_time(const EventType& type, std::int64_t past_max_us, std::int64_t time_us,
                             std::int64_t now_us, const EventDecoder::Limits& limits) {
    if (probable_unit(time_us) != TimeUnit::microseconds) {
        return "its \"time\" " + explain_time_unit(time_us);
    }
    constexpr std::int64_t kDayUs = 86'400'000'000;
    const auto days = [](std::int64_t us) { return std::to_string(us / kDayUs) + " days "; };
    const std::string far =
        "its time " + to_rfc3339(time_us) + " lies too far from now: more than ";
    if (time_us > now_us) return far + days(limits.future_max_us) + "ahead; see the sender's clock";
    return far + days(past_max_us) + "ago; " +
           (past_max_us < limits.past_max_us
                ? "rows of type " + in_quotes(type.name) + " are kept no longer (retention_days)"
                : "see schema.past_max_days");
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

struct EventDecoder::Fields {
    std::vector<std::optional<Value>> values;
    std::string extra;  // "" or {"key":value,…
    std::vector<std::string_view> extra_keys;
    std::deque<std::string> keys_without_nul;  // what extra_keys points to where a key had one
    std::string without_large_numbers;
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
                if (!head.time_us)
                    return fail("\"time\" is not RFC 3339: " + in_quotes(text) +
                                ", such as \"2026-11-24T10:00:00Z\"");
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
    fields_->keys_without_nul.clear();
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
        fields_->extra_keys.push_back(as_stored(key));
        std::string& extra = fields_->extra;
        extra += extra.empty() ? '{' : ',';
        append_json_string(extra, key);
        extra += ':';
        extra += text;
    }
    // jsonb would keep only the last of two.
    std::sort(fields_->extra_keys.begin(), fields_->extra_keys.end());
    const auto twice = std::adjacent_find(fields_->extra_keys.begin(), fields_->extra_keys.end());
    if (twice != fields_->extra_keys.end()) {
        return fail("duplicate key " + in_quotes(*twice));
    }
    if (!fields_->extra.empty()) fields_->extra += '}';
    return true;
}

/// Two keys may differ only in a NUL that the leader cannot hold.
std::string_view EventDecoder::as_stored(std::string_view key) {
    if (key.find('\0') == std::string_view::npos) return key;
    std::string& stored = fields_->keys_without_nul.emplace_back();
    for (char c : key) c == '\0' ? stored.append("\xef\xbf\xbd") : stored.append(1, c);
    return stored;
}

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
            return fail(writer.reason());
        }
    }
    if (fields_->extra.empty()) {
        row.null();
    } else if (!writer.write_extra(fields_->extra)) {
        return fail(writer.reason());
    }
    return true;
}

/// Into fields of this decoder, until the next.
bool EventDecoder::parse(std::string_view text, element& root) {
    // false: the caller has seen to the padding, so the text is not copied.
    auto error = parser_->parse(text.data(), text.size(), false).get(root);
    std::string& copy = fields_->without_large_numbers;
    if (error != simdjson::SUCCESS && hide_large_numbers(text, copy)) {
        copy.reserve(copy.size() + padding());
        error = parser_->parse(copy.data(), copy.size(), false).get(root);
    }
    parse_error_ = error;
    return error == simdjson::SUCCESS;
}

bool EventDecoder::is_json(std::string_view text) {
    element root;
    return text.size() <= kEventBytesMax * 4 && parse(text, root);
}

/// What the sender would have been told, if it had asked.
std::string EventDecoder::explain_bad_json(std::string_view line) const {
    std::string reason = explain(read_event_text(line));
    if (reason.empty()) {
        reason = simdjson::error_message(static_cast<simdjson::error_code>(parse_error_));
    }
    return "not valid JSON: " + reason;
}

/// A day that retention would drop at once is not made.
std::int64_t EventDecoder::past_max_us(const EventType& type) const {
    constexpr std::int64_t kDayUs = 86'400'000'000;
    if (type.retention_days == 0) return limits_.past_max_us;
    return std::min(limits_.past_max_us, static_cast<std::int64_t>(type.retention_days) * kDayUs);
}

bool EventDecoder::is_near(const EventType& type, std::int64_t time_us, std::int64_t now_us) const {
    return time_us >= now_us - past_max_us(type) && time_us <= now_us + limits_.future_max_us;
}

EventOutcome EventDecoder::decode(std::string_view line, const Place& place, std::int64_t now_us,
                                  std::string& rows) {
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
    if (!parse(line, root)) return bad(explain_bad_json(line));
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
    if (outcome.type < 0 && !is_type_name(*head.type)) {
        return bad("type " + in_quotes(*head.type) +
                   (is_reserved_type(*head.type)
                        ? " is reserved for Homeward"
                        : " can never be an event type; a name is " + std::string(kTypeNameRule)));
    }
    if (outcome.type < 0) {
        outcome.kind = EventOutcome::Kind::unknown;
        outcome.reason = "unknown event type";
        return outcome;
    }
    outcome.time_us = head.time_us.value_or(place.time_us);
    const EventType& type = catalog_->types()[static_cast<std::size_t>(outcome.type)];
    if (!is_near(type, outcome.time_us, now_us)) {
        return bad(explain_far_time(type, past_max_us(type), outcome.time_us, now_us, limits_));
    }
    const std::size_t start = rows.size();
    if (!place_fields(event, line, type) ||
        !append_row(type, place.origin, place.seq, outcome.time_us, rows)) {
        rows.resize(start);
        return bad(reason_);
    }
    outcome.kind = EventOutcome::Kind::row;
    return outcome;
}

}  // namespace homeward::consumer
