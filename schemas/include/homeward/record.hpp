#pragma once

// The payload of one lane record: one event, as emit() writes it and as the sender reads it to
// make JSON. Local to one machine, never on the wire. Little-endian, unaligned.
//
//   u32  descriptor hash     which TypeDescriptor wrote this; 0: JSON text of a dynamic event
//   i64  time_us             microseconds since 1970-01-01 UTC
//   typed:    u64 presence   bit i: field i is there
//             per present field, in order:
//               integer, real, timestamp   8 bytes
//               boolean                    1 byte
//               text, uuid, inet, json     u32 length, then the bytes
//               arrays                     as json: the text of a JSON array
//   dynamic:  u16 length and bytes of the type's name, then the JSON object to the record's end

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <homeward/event_class.hpp>
#include <homeward/json.hpp>
#include <homeward/text.hpp>

namespace homeward {

/// What a field of a generated struct holds.
enum class RecordKind : std::uint8_t { integer, real, boolean, timestamp, text, json };

struct FieldDescriptor {
    std::string_view name;
    RecordKind kind;
};

/// The shape of one generated struct; constexpr data with static lifetime.
struct TypeDescriptor {
    std::string_view name;
    EventClass event_class;
    std::span<const FieldDescriptor> fields;
    std::uint32_t hash;  ///< descriptor_hash() of the rest; never 0
};

/// FNV-1a over name, class, and each field's name and kind; 0 is mapped to 1.
constexpr std::uint32_t descriptor_hash(std::string_view name, EventClass event_class,
                                        std::span<const FieldDescriptor> fields) {
    std::uint32_t hash = 2166136261u;
    const auto mix = [&hash](std::string_view text) {
        for (char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619u;
        hash = (hash ^ 0xffu) * 16777619u;
    };
    mix(name);
    hash = (hash ^ static_cast<std::uint8_t>(event_class)) * 16777619u;
    for (const FieldDescriptor& field : fields) {
        mix(field.name);
        hash = (hash ^ static_cast<std::uint8_t>(field.kind)) * 16777619u;
    }
    return hash == 0 ? 1 : hash;
}

/// Of one text in a column; the leader would make a dead letter of a longer one.
inline constexpr std::size_t kTextBytesMax = std::size_t{64} << 10;

inline constexpr std::size_t kRecordHeaderBytes = 4 + 8;
inline constexpr std::size_t kTypedHeaderBytes = kRecordHeaderBytes + 8;

// Each returns the bytes that put() will write.
constexpr std::size_t record_bytes(std::int64_t) {
    return 8;
}
constexpr std::size_t record_bytes(double) {
    return 8;
}
constexpr std::size_t record_bytes(TimeUs) {
    return 8;
}
constexpr std::size_t record_bytes(bool) {
    return 1;
}
constexpr std::size_t record_bytes(std::string_view text) {
    return 4 + text.size();
}
constexpr std::size_t record_bytes(const JsonText& json) {
    return 4 + json.text.size();
}
template <typename Field>
std::size_t record_bytes(const Array<Field>& array) {
    return 4 + array.json_bytes();
}

static_assert(std::endian::native == std::endian::little, "records are written in native order");

template <typename T>
std::byte* put_raw(std::byte* at, T value) {
    std::memcpy(at, &value, sizeof value);
    return at + sizeof value;
}
inline std::byte* put(std::byte* at, std::int64_t value) {
    return put_raw(at, value);
}
inline std::byte* put(std::byte* at, double value) {
    return put_raw(at, value);
}
inline std::byte* put(std::byte* at, TimeUs value) {
    return put_raw(at, value.us);
}
inline std::byte* put(std::byte* at, bool value) {
    return put_raw(at, static_cast<std::uint8_t>(value));
}
/// The first and the last of `Bytes`, which overlap unless there are twice as many.
template <std::size_t Bytes>
void copy_both_ends(std::byte* to, const char* from, std::size_t bytes) {
    std::array<std::byte, Bytes> first;
    std::array<std::byte, Bytes> last;
    std::memcpy(first.data(), from, Bytes);
    std::memcpy(last.data(), from + bytes - Bytes, Bytes);
    std::memcpy(to, first.data(), Bytes);
    std::memcpy(to + bytes - Bytes, last.data(), Bytes);
}
/// Without a call for a text of up to 64 bytes, as nearly all are: emit() copies several.
inline void copy_text(std::byte* to, const char* from, std::size_t bytes) {
    if (bytes > 64) [[unlikely]] {
        std::memcpy(to, from, bytes);
    } else if (bytes > 32) {
        copy_both_ends<32>(to, from, bytes);
    } else if (bytes >= 16) {
        copy_both_ends<16>(to, from, bytes);
    } else if (bytes >= 8) {
        copy_both_ends<8>(to, from, bytes);
    } else if (bytes >= 4) {
        copy_both_ends<4>(to, from, bytes);
    } else {
        for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<std::byte>(from[i]);
    }
}
inline std::byte* put(std::byte* at, std::string_view text) {
    at = put_raw(at, static_cast<std::uint32_t>(text.size()));
    copy_text(at, text.data(), text.size());
    return at + text.size();
}
inline std::byte* put(std::byte* at, const JsonText& json) {
    return put(at, json.text.view());
}
template <typename Field>
std::byte* put(std::byte* at, const Array<Field>& array) {
    std::byte* const end = array.write_json(at + 4);
    put_raw(at, static_cast<std::uint32_t>(end - at - 4));
    return end;
}

}  // namespace homeward
