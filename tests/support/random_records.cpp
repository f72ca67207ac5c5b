#include "tests/support/random_records.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace homeward::testing {
namespace {

void append_text(std::vector<std::byte>& record, std::string_view text) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(text.data());
    record.insert(record.end(), bytes, bytes + text.size());
}

template <typename T>
void append(std::vector<std::byte>& record, T value) {
    std::array<std::byte, sizeof value> bytes;
    std::memcpy(bytes.data(), &value, sizeof value);
    record.insert(record.end(), bytes.begin(), bytes.end());
}

OwnedDescriptor make_type(const std::string& name, const OwnedDescriptor& fields) {
    OwnedDescriptor type = fields;
    std::vector<FieldDescriptor> views;
    for (const auto& field : type.fields) views.push_back({field.name, field.kind});
    type.name = name;
    type.hash = descriptor_hash(type.name, type.event_class, views);
    return type;
}

/// As tests/consumer/unit/types/sample.json has it.
OwnedDescriptor sample_fields() {
    OwnedDescriptor type;
    type.fields = {{"name", RecordKind::text},      {"small", RecordKind::integer},
                   {"medium", RecordKind::integer}, {"large", RecordKind::integer},
                   {"real4", RecordKind::real},     {"real8", RecordKind::real},
                   {"exact", RecordKind::text},     {"flag", RecordKind::boolean},
                   {"at", RecordKind::timestamp},   {"id", RecordKind::text},
                   {"address", RecordKind::text},   {"body", RecordKind::json},
                   {"names", RecordKind::json},     {"numbers", RecordKind::json}};
    return type;
}

/// A sender of another version: kinds that do not fit, a field that no table has.
OwnedDescriptor other_fields() {
    OwnedDescriptor type;
    type.fields = {{"name", RecordKind::integer},
                   {"large", RecordKind::text},
                   {"unheard_of", RecordKind::text},
                   {"flag", RecordKind::integer}};
    return type;
}

}  // namespace

RandomRecords::RandomRecords(std::uint64_t seed) : random_(seed) {
    types_.push_back(make_type("sample", sample_fields()));
    types_.push_back(make_type("sample", other_fields()));
    types_.push_back(make_type("unknown", sample_fields()));
    types_.push_back(make_type("homeward.tombstone", other_fields()));
    types_.push_back(
        make_type(std::string(60, 'n'), other_fields()));  // no definition describes it
}

FindDescriptor RandomRecords::find() const {
    return [this](std::uint32_t hash) -> const OwnedDescriptor* {
        for (const OwnedDescriptor& type : types_) {
            if (type.hash == hash) return &type;
        }
        return nullptr;
    };
}

std::vector<std::byte> RandomRecords::next() {
    if (one_in(8)) return dynamic();
    const std::size_t type = one_in(4) ? random_() % types_.size() : 0;
    return typed(types_[type], false, one_in(3));
}

std::vector<std::byte> RandomRecords::next_good(const OwnedDescriptor& type, bool is_sparse) {
    return typed(type, true, is_sparse);
}

std::vector<std::byte> RandomRecords::dynamic() {
    std::vector<std::byte> record;
    append(record, std::uint32_t{0});
    append(record, time_us_);
    const std::string type = one_in(3) ? "unknown" : "sample";
    append(record, static_cast<std::uint16_t>(type.size()));
    append_text(record, type);
    append_text(record, one_in(5) ? "{\"name\":\"x\",\n\"more\":[1,null]}" : "{\"name\":\"a\"}");
    return record;
}

std::vector<std::byte> RandomRecords::typed(const OwnedDescriptor& type, bool is_good,
                                            bool is_sparse) {
    time_us_ += static_cast<std::int64_t>(random_() % 5'000);
    if (!is_good && one_in(50)) time_us_ -= 10'000'000;
    std::vector<std::byte> record;
    append(record, type.hash);
    append(record, !is_good && one_in(200) ? std::numeric_limits<std::int64_t>::min() : time_us_);
    std::uint64_t presence = ~std::uint64_t{0};
    if (is_sparse) presence = random_();
    append(record, presence);
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
        if ((presence >> i & 1u) != 0) append_field(record, type.fields[i], is_good);
    }
    return record;
}

void RandomRecords::append_field(std::vector<std::byte>& record,
                                 const OwnedDescriptor::OwnedField& field, bool is_good) {
    constexpr std::array<double, 8> kReals{0.0,
                                           -0.0,
                                           1.5,
                                           1e300,
                                           1e-300,
                                           18446744073709551616.0,
                                           std::numeric_limits<double>::infinity(),
                                           0.1};
    const bool is_any = !is_good && one_in(4);
    switch (field.kind) {
        case RecordKind::integer:
            return append(record,
                          static_cast<std::int64_t>(is_any ? random_() : random_() % 1'000));
        case RecordKind::timestamp:
            return append(record, is_any ? static_cast<std::int64_t>(random_()) : time_us_);
        case RecordKind::real:
            return append(record, is_any && one_in(3) ? std::nan("")
                                  : is_any            ? kReals[random_() % kReals.size()]
                                           : static_cast<double>(random_() % 10'000) / 8);
        case RecordKind::boolean:
            return append(record, static_cast<std::uint8_t>(random_() % 2));
        case RecordKind::text:
        case RecordKind::json: {
            const std::string text = field.kind == RecordKind::text ? text_of(field.name, is_good)
                                                                    : json_of(field.name, is_good);
            append(record, static_cast<std::uint32_t>(text.size()));
            return append_text(record, text);
        }
    }
}

std::string RandomRecords::text_of(const std::string& field_name, bool is_good) {
    using namespace std::string_literals;
    if (!is_good && one_in(12)) {
        const std::array<std::string, 6> bad{"",         "a\0b"s, "\xff\xc3",
                                             "\"\\\n\t", "grüße", std::string(40, 'x')};
        return bad[random_() % bad.size()];
    }
    if (field_name == "exact") return std::to_string(random_() % 1'000) + ".25";
    if (field_name == "id") return "00000000-0000-4000-8000-" + std::string(12, '7');
    if (field_name == "address") return "10.0.0." + std::to_string(random_() % 200);
    // Few values at times, many at others.
    return "n" + std::to_string(one_in(2) ? random_() % 8 : random_() % 100'000);
}

std::string RandomRecords::json_of(const std::string& field_name, bool is_good) {
    if (!is_good && one_in(12)) {
        const std::array<std::string, 8> bad{
            "",           "{",          "null", "1],[2", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}",
            "[1e999999]", "{\"a\":\n1}"};
        return bad[random_() % bad.size()];
    }
    if (field_name == "names") return "[\"a\",null,\"" + std::to_string(random_() % 50) + "\"]";
    if (field_name == "numbers") return "[1,2," + std::to_string(random_() % 50) + "]";
    return "{\"ip\":\"10.1.2." + std::to_string(random_() % 250) + "\",\"tries\":3}";
}

}  // namespace homeward::testing
