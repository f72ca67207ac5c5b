#include "consumer/decode/copy_row.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace homeward::consumer {
namespace {

template <typename T>
T big_endian(T value) {
    static_assert(std::endian::native == std::endian::little);
    if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(value));
    if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(value));
    if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(value));
    return value;
}

template <typename T>
void append(std::string& out, T value) {
    const T swapped = big_endian(value);
    out.append(reinterpret_cast<const char*>(&swapped), sizeof swapped);
}

template <typename T>
void append_field(std::string& out, T value) {
    std::array<char, sizeof(std::uint32_t) + sizeof value> field;
    const auto length = big_endian<std::uint32_t>(sizeof value);
    const T swapped = big_endian(value);
    std::memcpy(field.data(), &length, sizeof length);
    std::memcpy(field.data() + sizeof length, &swapped, sizeof swapped);
    out.append(field.data(), field.size());
}

}  // namespace

std::string_view copy_header() {
    // signature, no flags, no extension
    static constexpr char kHeader[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
    return {kHeader, 19};
}

std::string_view copy_trailer() {
    return {"\377\377", 2};
}

void CopyRow::begin(std::uint16_t columns) {
    append(out_, columns);
}
void CopyRow::join(std::string_view value) {
    out_.append(value);
    out_ += joined_->separator;
}
void CopyRow::null() {
    if (joined_) return join({&joined_->null, 1});
    append<std::uint32_t>(out_, UINT32_MAX);
}
void CopyRow::int2(std::int16_t value) {
    append_field(out_, static_cast<std::uint16_t>(value));
}
void CopyRow::int4(std::int32_t value) {
    append_field(out_, static_cast<std::uint32_t>(value));
}
void CopyRow::int8(std::int64_t value) {
    append_field(out_, static_cast<std::uint64_t>(value));
}
void CopyRow::float4(float value) {
    append_field(out_, std::bit_cast<std::uint32_t>(value));
}
void CopyRow::float8(double value) {
    append_field(out_, std::bit_cast<std::uint64_t>(value));
}
void CopyRow::boolean(bool value) {
    append<std::uint32_t>(out_, 1);
    out_ += value ? '\1' : '\0';
}
void CopyRow::text(std::string_view value) {
    if (joined_) return join(value);
    bytes(value);
}
void CopyRow::jsonb(std::string_view json) {
    constexpr char kJsonbVersion = 1;
    if (joined_) return join(json);
    append(out_, static_cast<std::uint32_t>(json.size() + 1));
    out_ += kJsonbVersion;
    out_.append(json);
}
void CopyRow::timestamptz(std::int64_t time_us) {
    int8(time_us - kPostgresEpochUs);
}
void CopyRow::bytes(std::string_view value) {
    append(out_, static_cast<std::uint32_t>(value.size()));
    out_.append(value);
}

std::size_t CopyRow::begin_array(std::uint32_t element_oid, std::uint32_t elements) {
    const std::size_t length_at = out_.size();
    append<std::uint32_t>(out_, 0);
    append<std::uint32_t>(out_, elements == 0 ? 0 : 1);  // dimensions
    append<std::uint32_t>(out_, 1);                      // may hold nulls
    append(out_, element_oid);
    if (elements > 0) {
        append(out_, elements);
        append<std::uint32_t>(out_, 1);  // lower bound
    }
    return length_at;
}

void CopyRow::end_array(std::size_t length_at) {
    const auto length = big_endian(static_cast<std::uint32_t>(out_.size() - length_at - 4));
    std::memcpy(out_.data() + length_at, &length, sizeof length);
}

}  // namespace homeward::consumer
