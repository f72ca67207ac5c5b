#include "consumer/decode/column_rows.hpp"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "consumer/base/time.hpp"
#include "consumer/decode/copy_row.hpp"
#include "consumer/decode/joined_texts.hpp"
#include "consumer/decode/pack_form.hpp"
#include "consumer/decode/value_writer.hpp"
#include "schemas/columns/event_line.hpp"
#include "schemas/text/event.hpp"

namespace homeward::consumer {
namespace {

constexpr std::uint16_t kOwnColumns = 4;  // origin, seq, time, extra

/// Beyond it a number might be too long for jsonb.
constexpr std::size_t kAlikeBytesMax = 16'384;

/// A block with a longer one becomes rows, of which PackEncoder judges one by one.
constexpr std::size_t kPackedTextBytesMax = kFieldBytesMax;
/// A timestamptz with its length.
constexpr std::size_t kTimeElementBytes = 12;

/// Whether JSON that has this one's pattern is as good: it differs in digits alone, and begins no
/// number with a zero that this does not (columns/pattern.hpp). They are part of no escape and of
/// no exponent, which could make a number that jsonb does not hold.
bool is_alike(std::string_view json) {
    const bool is_container = json.front() == '{' || json.front() == '[';
    if (!is_container || json.size() > kAlikeBytesMax || json.find('\\') != std::string_view::npos)
        return false;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    for (std::size_t at = json.find_first_of("eE"); at != std::string_view::npos;
         at = json.find_first_of("eE", at + 1)) {
        if (at > 0 && is_digit(json[at - 1])) return false;
    }
    return true;
}

columns::Decoder::Frame frame_of(const MessageWork& work) {
    return {work.types, work.header.line_count, work.values_bytes};
}

std::int64_t signed_word(const columns::Column& column, std::uint32_t event) {
    return static_cast<std::int64_t>(column.words[event]);
}

}  // namespace

bool ColumnRows::find_form(const Field& field, RecordKind kind, Form& form) {
    if (field.array) {
        form = Form::json;
        return kind == RecordKind::json;
    }
    switch (field.kind) {
        case FieldKind::text:
            form = Form::text;
            return kind == RecordKind::text;
        case FieldKind::uuid:
            form = Form::uuid;
            return kind == RecordKind::text;
        case FieldKind::inet:
            form = Form::inet;
            return kind == RecordKind::text;
        case FieldKind::integer:
            form = Form::integer;
            return kind == RecordKind::integer && field.column != ColumnType::numeric;
        case FieldKind::real:
            form = field.column == ColumnType::numeric ? Form::decimal : Form::real;
            return kind == (form == Form::decimal ? RecordKind::text : RecordKind::real);
        case FieldKind::boolean:
            form = Form::boolean;
            return kind == RecordKind::boolean;
        case FieldKind::timestamp:
            form = Form::timestamp;
            return kind == RecordKind::timestamp;
        case FieldKind::json:
            form = Form::json;
            return kind == RecordKind::json;
    }
    return false;
}

void ColumnRows::make_plan(const columns::Block& block, Plan& plan) const {
    plan.is_direct = false;
    plan.type = block.type == nullptr ? -1 : events_.catalog().find(block.type->name);
    if (plan.type < 0) return;
    const EventType& type = events_.catalog().types()[static_cast<std::size_t>(plan.type)];
    plan.sources.assign(type.fields.size(), {});
    plan.known.assign(block.columns.size(), {});
    for (std::size_t i = 0; i < block.columns.size(); ++i) {
        if (block.columns[i].is_absent) continue;
        const auto field =
            std::find_if(type.fields.begin(), type.fields.end(),
                         [&](const Field& one) { return one.name == block.type->fields[i].name; });
        if (field == type.fields.end()) return;
        Source& source = plan.sources[static_cast<std::size_t>(field - type.fields.begin())];
        if (source.form != Form::absent) return;  // of two fields with one name
        source.column = static_cast<std::uint32_t>(i);
        if (!find_form(*field, block.columns[i].kind, source.form)) return;
    }
    plan.is_direct = true;
}

const EventType& ColumnRows::type_of(const Plan& plan) const {
    return events_.catalog().types()[static_cast<std::size_t>(plan.type)];
}

bool ColumnRows::open(const MessageWork& work) {
    if (!decoder_.decode(work.body, frame_of(work))) return false;
    const auto blocks = decoder_.blocks();
    if (plans_.size() < blocks.size()) plans_.resize(blocks.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) make_plan(blocks[i], plans_[i]);
    return true;
}

/// False: its line may tell why, or what it becomes.
bool ColumnRows::append_row(const columns::Block& block, Plan& plan, std::uint32_t event,
                            ValueWriter& writer) {
    for (std::size_t i = 0; i < plan.sources.size(); ++i) {
        if (!append_field(block, plan, i, event, writer)) return false;
    }
    writer.write_null();  // extra
    return true;
}

bool ColumnRows::append_field(const columns::Block& block, Plan& plan, std::size_t index,
                              std::uint32_t event, ValueWriter& writer) {
    const Field& field = type_of(plan).fields[index];
    const Source source = plan.sources[index];
    if (source.form == Form::absent || !block.columns[source.column].has(event)) {
        writer.write_null();
        return !field.required;
    }
    const columns::Column& column = block.columns[source.column];
    if (source.form == Form::json) {
        return write_json(field, column, plan.known[source.column], event, writer);
    }
    return write(field, column, source.form, event, writer);
}

/// False: an event is far from now, or they are of two days, or of one before yesterday, for which
/// DayBudget may refuse a partition.
bool ColumnRows::pack_times(const columns::Block& block, const EventType& type, std::int64_t now_us,
                            PackedBlock& packed) const {
    const auto words = std::span(block.times).subspan(packed.event_first, packed.events);
    const std::int64_t day = day_of(static_cast<std::int64_t>(words.front()));
    if (day < day_of(now_us) - 1) return false;
    packed.time_first_us = packed.time_last_us = static_cast<std::int64_t>(words.front());
    packed.times.reserve(words.size() * kTimeElementBytes);
    CopyRow times(packed.times);
    for (const std::uint64_t word : words) {
        const auto time_us = static_cast<std::int64_t>(word);
        packed.time_first_us = std::min(packed.time_first_us, time_us);
        packed.time_last_us = std::max(packed.time_last_us, time_us);
        times.timestamptz(time_us);
    }
    return day_of(packed.time_first_us) == day && day_of(packed.time_last_us) == day &&
           events_.is_near(type, packed.time_first_us, now_us) &&
           events_.is_near(type, packed.time_last_us, now_us);
}

/// Whether append_field() would append each text of the column as it is, NUL aside.
bool ColumnRows::are_plain_texts(const Field& field, const columns::Column& column, Plan& plan,
                                 std::size_t index) {
    const bool is_text = plan.sources[index].form == Form::text;
    const bool is_json = plan.sources[index].form == Form::json && !column.places.empty();
    if (!column.presence.empty() || (!is_text && !is_json)) return false;
    const std::size_t bytes_max = is_json                ? kAlikeBytesMax
                                  : field.length_max > 0 ? field.length_max
                                                         : kPackedTextBytesMax;
    const bool is_short =
        std::all_of(column.texts.begin(), column.texts.end(), [bytes_max](std::string_view text) {
            return text.size() <= bytes_max && !is_pack_null(text);
        });
    if (!is_short) return false;
    return (is_text && field.allowed.empty()) || are_known_texts(field, column, plan, index);
}

/// One of an entry or a pattern stands for all others.
bool ColumnRows::are_known_texts(const Field& field, const columns::Column& column, Plan& plan,
                                 std::size_t index) {
    const Source source = plan.sources[index];
    const bool is_json = source.form == Form::json;
    if (!is_json && column.encoding != columns::Encoding::dictionary) return false;
    KnownTexts& known = plan.known[source.column];
    std::string discarded;
    std::uint64_t nuls = 0;
    CopyRow row(discarded);
    ValueWriter writer(row, scratch_, nuls);
    for (std::uint32_t event = 0; event < column.texts.size(); ++event) {
        Known& entry = known[column.places[event]];
        if (entry == Known::good) continue;
        discarded.clear();
        if (is_json) {
            write_json(field, column, known, event, writer);
        } else if (writer.write_text(field, column.texts[event])) {
            entry = Known::good;
        }
        if (entry != Known::good) return false;
    }
    return true;
}

bool ColumnRows::pack_field(const columns::Block& block, Plan& plan, std::size_t index,
                            std::span<PackedBlock> parts) {
    const Field& field = type_of(plan).fields[index];
    const Source source = plan.sources[index];
    if (source.form == Form::absent) {
        for (PackedBlock& part : parts) part.fields[index].nulls = part.events;
        return !field.required;
    }
    const PackForm form = pack_form(field);
    if (form == PackForm::list) return false;
    const columns::Column& column = block.columns[source.column];
    const bool is_plain = form == PackForm::joined && are_plain_texts(field, column, plan, index);
    return std::all_of(parts.begin(), parts.end(), [&](PackedBlock& part) {
        std::string& data = part.fields[index].data;
        if (is_plain) {
            join_texts(std::span(column.texts).subspan(part.event_first, part.events), data);
            // NUL needs another text, and may be in what is no JSON.
            if (data.find('\0') == std::string::npos) {
                return count_separators(data) + 1 == part.events;
            }
            data.clear();
        }
        return pack_values(block, plan, index, part);
    });
}

/// One by one.
bool ColumnRows::pack_values(const columns::Block& block, Plan& plan, std::size_t index,
                             PackedBlock& part) {
    const columns::Column& column = block.columns[plan.sources[index].column];
    const bool is_joined = pack_form(type_of(plan).fields[index]) == PackForm::joined;
    PackedBlock::Values& values = part.fields[index];
    CopyRow row = is_joined ? CopyRow(values.data, CopyRow::Joined{kPackSeparator, kPackNull})
                            : CopyRow(values.data);
    ValueWriter writer(row, scratch_, replaced_nuls_);
    for (std::uint32_t i = 0; i < part.events; ++i) {
        const std::uint32_t event = part.event_first + i;
        if (!append_field(block, plan, index, event, writer)) return false;
        if (!column.has(event)) {
            ++values.nulls;
        } else if (is_joined && (column.texts[event].size() > kPackedTextBytesMax ||
                                 is_pack_null(column.texts[event]))) {
            return false;
        }
    }
    if (!is_joined) return true;
    values.data.pop_back();
    return count_separators(values.data) + 1 == part.events;
}

bool ColumnRows::pack_parts(const columns::Block& block, Plan& plan, std::int64_t now_us,
                            std::span<PackedBlock> parts) {
    const EventType& type = type_of(plan);
    // All are as large, so that none is too small for a pack.
    const auto events_max =
        static_cast<std::uint32_t>((block.events + parts.size() - 1) / parts.size());
    std::uint32_t first = 0;
    for (PackedBlock& part : parts) {
        part.event_first = first;
        part.events = std::min(events_max, block.events - first);
        first += part.events;
        part.fields.resize(type.fields.size());
        part.seqs.reserve(part.events);
        if (!pack_times(block, type, now_us, part)) return false;
    }
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
        if (!pack_field(block, plan, i, parts)) return false;
    }
    return true;
}

bool ColumnRows::pack(std::uint32_t index, std::int64_t now_us, std::vector<PackedBlock>& packed) {
    const columns::Block& block = decoder_.blocks()[index];
    Plan& plan = plans_[index];
    if (!plan.is_direct || !type_of(plan).is_packed || block.events < kPackEventsMin) return false;
    const std::size_t before = packed.size();
    packed.resize(before + (block.events + kPackEventsMax - 1) / kPackEventsMax);
    replaced_nuls_ = 0;
    if (!pack_parts(block, plan, now_us, std::span(packed).subspan(before))) {
        packed.resize(before);
        return false;
    }
    events_.count_replaced_nuls(replaced_nuls_);
    return true;
}

bool ColumnRows::write(const Field& field, const columns::Column& column, Form form,
                       std::uint32_t event, ValueWriter& writer) {
    switch (form) {
        case Form::text:
            return writer.write_text(field, column.texts[event]);
        case Form::decimal:
            return writer.write_decimal(field, column.texts[event]);
        case Form::uuid:
            return writer.write_uuid(field, column.texts[event]);
        case Form::inet:
            return writer.write_inet(field, column.texts[event]);
        case Form::integer:
            return writer.write_integer(field, signed_word(column, event));
        case Form::real:
            return writer.write_real(field, std::bit_cast<double>(column.words[event]));
        case Form::boolean:
            writer.write_boolean(column.words[event] != 0);
            return true;
        case Form::timestamp:
            return writer.write_timestamp(field, signed_word(column, event));
        case Form::json:
        case Form::absent:
            break;
    }
    return false;
}

/// Good JSON of one entry or pattern is parsed once.
bool ColumnRows::write_json(const Field& field, const columns::Column& column, KnownTexts& known,
                            std::uint32_t event, ValueWriter& writer) {
    const std::string_view text = column.texts[event];
    Known* const of_place =
        column.places.empty() || field.array ? nullptr : &known[column.places[event]];
    if (of_place != nullptr && *of_place == Known::good && text.size() <= kAlikeBytesMax) {
        writer.write_jsonb(text);
        return true;
    }
    Value value{{}, text};
    const bool is_good = events_.parse(text, value.parsed) && writer.write(field, value);
    if (of_place != nullptr && *of_place == Known::nothing) {
        *of_place = is_good && is_alike(text) ? Known::good : Known::each_differs;
    }
    return is_good;
}

EventOutcome ColumnRows::decode(const MessageWork& work, const ColumnPlace& place,
                                std::int64_t now_us, std::string& rows, std::string& line) {
    const columns::Block& block = decoder_.blocks()[place.block];
    Plan& plan = plans_[place.block];
    const auto time_us =
        plan.is_direct ? static_cast<std::int64_t>(block.times[place.event]) : std::int64_t{0};
    if (plan.is_direct && events_.is_near(type_of(plan), time_us, now_us)) {
        const EventType& type = type_of(plan);
        const std::size_t start = rows.size();
        CopyRow row(rows);
        row.begin(static_cast<std::uint16_t>(type.fields.size() + kOwnColumns));
        row.int4(work.origin);
        row.int8(static_cast<std::int64_t>(place.seq));
        row.timestamptz(time_us);
        replaced_nuls_ = 0;
        ValueWriter writer(row, scratch_, replaced_nuls_);
        if (append_row(block, plan, place.event, writer)) {
            events_.count_replaced_nuls(replaced_nuls_);
            EventOutcome outcome;
            outcome.kind = EventOutcome::Kind::row;
            outcome.type = plan.type;
            outcome.time_us = time_us;
            return outcome;
        }
        rows.resize(start);
    }
    line.clear();
    columns::append_line(line, block, place.event);
    line.reserve(line.size() + EventDecoder::padding());
    return events_.decode(
        line,
        {work.origin, static_cast<std::int64_t>(place.seq), work.pulled.message.delivery.time_us},
        now_us, rows);
}

std::string Payloads::of(const MessageWork& work, const EventRow& event) {
    if (!work.is_columns) {
        return work.body.substr(event.line_begin, event.line_end - event.line_begin);
    }
    if (work_ != &work && !decoder_.decode(work.body, frame_of(work))) {
        return {};  // it was decoded before
    }
    work_ = &work;
    std::string line;
    columns::append_line(line, decoder_.blocks()[event.line_begin], event.line_end);
    return line;
}

}  // namespace homeward::consumer
