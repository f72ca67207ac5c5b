#include "consumer/write/pack_encoder.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "consumer/decode/column_value.hpp"
#include "consumer/decode/copy_row.hpp"
#include "consumer/postgres/partitions.hpp"

namespace homeward::consumer {
namespace {

/// origin, seq and time, which every row begins with.
constexpr std::size_t kHeadFields = 3;
constexpr std::size_t kPackHeadFields = 7;
constexpr std::uint32_t kTimestamptzOid = 1184;
constexpr std::uint32_t kInt4Oid = 23;

std::uint32_t load_uint32(const char* at) {
    std::uint32_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return __builtin_bswap32(value);
}

std::int64_t load_int64(const char* at) {
    std::uint64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return static_cast<std::int64_t>(__builtin_bswap64(value));
}

void append_uint32(std::string& out, std::uint32_t value) {
    const std::uint32_t swapped = __builtin_bswap32(value);
    out.append(reinterpret_cast<const char*>(&swapped), sizeof swapped);
}

void append_array(std::string& out, std::uint32_t element_oid, std::size_t elements,
                  std::string_view data) {
    CopyRow row(out);
    const std::size_t length_at =
        row.begin_array(element_oid, static_cast<std::uint32_t>(elements));
    out.append(data);
    row.end_array(length_at);
}

/// pg_type.oid of the arrays that PostgreSQL has from the start.
std::uint32_t array_oid(ColumnType column) {
    switch (column) {
        case ColumnType::text:
            return 1009;
        case ColumnType::int2:
            return 1005;
        case ColumnType::int4:
            return 1007;
        case ColumnType::int8:
            return 1016;
        case ColumnType::float4:
            return 1021;
        case ColumnType::float8:
            return 1022;
        case ColumnType::numeric:
            return 1231;
        case ColumnType::boolean:
            return 1000;
        case ColumnType::timestamptz:
            return 1185;
        case ColumnType::uuid:
            return 2951;
        case ColumnType::inet:
            return 1041;
        case ColumnType::jsonb:
            return 3807;
    }
    return 0;
}

/// nullptr: it has a row of its own.
const PackedBlock* block_of(const RowPlace& place) {
    const EventRow& event = place.work->events[place.event];
    return event.has_row() ? nullptr : &place.work->packed[event.begin];
}

}  // namespace

ListTypes read_list_types(PgConnection& leader) {
    const QueryResult found = leader.query(
        "SELECT typname, oid FROM pg_type WHERE typname LIKE '%\\_list'"
        " AND typnamespace = (SELECT relnamespace FROM pg_class"
        "  WHERE oid = 'homeward.packed_type'::regclass)");
    ListTypes types;
    for (int row = 0; row < found.rows(); ++row) {
        types[std::string(found.at(row, 0))] = static_cast<std::uint32_t>(found.number(row, 1));
    }
    return types;
}

PackEncoder::PackEncoder(const EventType& type, const ListTypes& list_types) {
    for (const Field& field : type.fields) {
        Values values{pack_form(field),
                      field.column == ColumnType::jsonb,
                      element_oid(field.column),
                      0,
                      {},
                      0};
        if (values.form == PackForm::list) {
            const auto found = list_types.find(list_type_name(field));
            values.list_oid = array_oid(field.column);
            values.element_oid = found == list_types.end() ? 0 : found->second;
        }
        values_.push_back(std::move(values));
    }
    values_.push_back({PackForm::joined, true, 0, 0, {}, 0});  // extra
}

/// Fills fields_ from the row's bytes.
bool PackEncoder::read(const RowPlace& place) {
    const EventRow& event = place.work->events[place.event];
    const char* at = place.work->rows.data() + event.begin + sizeof(std::uint16_t);
    fields_.clear();
    for (std::size_t i = 0; i < kHeadFields + values_.size(); ++i) {
        const auto length = load_uint32(at);
        at += sizeof length;
        if (length == UINT32_MAX) {
            fields_.emplace_back();
            continue;
        }
        fields_.emplace_back(at, length);
        at += length;
    }
    return event.end - event.begin <= kPackEventBytesMax;
}

bool PackEncoder::is_packable() const {
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const std::string_view text = fields_[kHeadFields + i];
        if (values_[i].form != PackForm::joined || values_[i].is_jsonb || text.empty()) continue;
        if (std::memchr(text.data(), kPackSeparator, text.size()) != nullptr) return false;
        if (text.size() == 1 && text[0] == kPackNull) return false;
    }
    return true;
}

void PackEncoder::append(Values& values, std::string_view value, bool is_null, bool is_first) {
    if (is_null) ++values.nulls;
    switch (values.form) {
        case PackForm::joined:
            if (!is_first) values.data += kPackSeparator;
            if (is_null) {
                values.data += kPackNull;
            } else {
                // jsonb_send's version comes before the text.
                values.data.append(values.is_jsonb ? value.substr(1) : value);
            }
            return;
        case PackForm::list:
            if (!is_null) {
                append_uint32(values.data, static_cast<std::uint32_t>(12 + value.size()));
                append_uint32(values.data, 1);  // columns of the element
                append_uint32(values.data, values.list_oid);
            }
            [[fallthrough]];
        case PackForm::array:
            append_uint32(values.data,
                          is_null ? UINT32_MAX : static_cast<std::uint32_t>(value.size()));
            values.data.append(value);
            return;
    }
}

void PackEncoder::append_nulls(Values& values, std::size_t nulls, bool is_first) {
    values.nulls += nulls;
    if (values.form == PackForm::joined) {
        for (std::size_t i = 0; i < nulls; ++i) {
            if (!is_first || i > 0) values.data += kPackSeparator;
            values.data += kPackNull;
        }
    } else {
        values.data.append(sizeof(std::uint32_t) * nulls, '\xff');
    }
}

void PackEncoder::begin(std::int32_t origin, std::int64_t seq, std::int64_t time_us) {
    if (events_ > 0) return;
    origin_ = origin;
    seq_first_ = seq;
    time_first_us_ = time_last_us_ = time_us;
}

void PackEncoder::add_seq(std::int64_t seq) {
    const auto append = [this](std::int64_t offset) {
        append_uint32(seq_offsets_, sizeof(std::int32_t));
        append_uint32(seq_offsets_, static_cast<std::uint32_t>(offset));
    };
    const std::int64_t offset = seq - seq_first_;
    const auto events = static_cast<std::int64_t>(events_);
    if (is_contiguous_ && offset != events) {
        is_contiguous_ = false;
        for (std::int64_t before = 0; before < events; ++before) append(before);
    }
    if (!is_contiguous_) append(offset);
    ++events_;
}

bool PackEncoder::is_far(std::int64_t seq) const {
    constexpr std::int64_t kOffsetMax = std::numeric_limits<std::int32_t>::max();
    return events_ > 0 && std::abs(seq - seq_first_) > kOffsetMax;
}

void PackEncoder::add(std::int32_t origin, const PackedBlock& block) {
    const bool is_first = events_ == 0;
    begin(origin, static_cast<std::int64_t>(block.seqs.front()), block.time_first_us);
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const bool is_extra = i == block.fields.size();
        if (is_extra || block.fields[i].data.empty()) {
            append_nulls(values_[i], block.seqs.size(), is_first);
            continue;
        }
        const PackedBlock::Values& more = block.fields[i];
        if (values_[i].form == PackForm::joined && !is_first) values_[i].data += kPackSeparator;
        values_[i].data += more.data;
        values_[i].nulls += more.nulls;
    }
    times_ += block.times;
    bytes_ += block.bytes();
    time_first_us_ = std::min(time_first_us_, block.time_first_us);
    time_last_us_ = std::max(time_last_us_, block.time_last_us);
    for (const std::uint64_t seq : block.seqs) add_seq(static_cast<std::int64_t>(seq));
}

/// False: the event is to be a row.
bool PackEncoder::add(const RowPlace& place) {
    if (!read(place) || !is_packable()) return false;
    const std::int64_t time_us = place.work->events[place.event].time_us;
    const auto seq = load_int64(fields_[1].data());
    const bool is_first = events_ == 0;
    begin(place.work->origin, seq, time_us);
    add_seq(seq);
    append_uint32(times_, sizeof(std::int64_t));
    times_.append(fields_[2]);
    time_first_us_ = std::min(time_first_us_, time_us);
    time_last_us_ = std::max(time_last_us_, time_us);
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const std::string_view value = fields_[kHeadFields + i];
        append(values_[i], value, value.data() == nullptr, is_first);
        bytes_ += value.size();
    }
    places_.push_back(place);
    return true;
}

void PackEncoder::write(std::string& packs) {
    CopyRow row(packs);
    row.begin(static_cast<std::uint16_t>(kPackHeadFields + values_.size()));
    row.int4(origin_);
    row.int8(seq_first_);
    row.timestamptz(time_first_us_);
    row.timestamptz(time_last_us_);
    row.int4(static_cast<std::int32_t>(events_));
    if (is_contiguous_) {
        row.null();
    } else {
        append_array(packs, kInt4Oid, events_, seq_offsets_);
    }
    append_array(packs, kTimestamptzOid, events_, times_);
    for (const Values& values : values_) {
        if (values.nulls == events_) {
            row.null();
        } else if (values.form == PackForm::joined) {
            row.text(values.data);
        } else {
            append_array(packs, values.element_oid, events_, values.data);
        }
    }
}

void PackEncoder::finish(std::string& packs, std::vector<RowPlace>& rows) {
    if (events_ < kPackEventsMin) {
        rows.insert(rows.end(), places_.begin(), places_.end());
    } else {
        write(packs);
    }
    for (Values& values : values_) {
        values.data.clear();
        values.nulls = 0;
    }
    places_.clear();
    events_ = 0;
    times_.clear();
    seq_offsets_.clear();
    is_contiguous_ = true;
    bytes_ = 0;
}

std::vector<RowPlace> PackEncoder::encode(std::span<const RowPlace> places, std::string& packs) {
    using Key = std::pair<std::int32_t, std::int64_t>;
    std::map<Key, std::vector<RowPlace>> groups;
    std::pair<const Key, std::vector<RowPlace>>* last = nullptr;
    for (const RowPlace& place : places) {
        const EventRow& event = place.work->events[place.event];
        const PackedBlock* const block = block_of(place);
        // The block's first stands for all.
        if (block != nullptr && event.seq != block->seqs.front()) continue;
        const Key key{place.work->origin, day_of(event.time_us)};
        if (last == nullptr || last->first != key) last = &*groups.try_emplace(key).first;
        last->second.push_back(place);
    }
    std::vector<RowPlace> rows;
    for (const auto& [key, group] : groups) {
        for (const RowPlace& place : group) {
            const EventRow& event = place.work->events[place.event];
            const PackedBlock* const block = block_of(place);
            const std::size_t events = block == nullptr ? 1 : block->seqs.size();
            const std::uint64_t seq_last = block == nullptr ? event.seq : block->seqs.back();
            if (is_far(static_cast<std::int64_t>(seq_last)) || bytes_ >= kPackBytesMax ||
                events_ + events > kPackEventsMax) {
                finish(packs, rows);
            }
            if (block != nullptr) {
                add(key.first, *block);
            } else if (!add(place)) {
                rows.push_back(place);
            }
        }
        finish(packs, rows);
    }
    return rows;
}

}  // namespace homeward::consumer
