#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/record.hpp>

namespace homeward {

/// A TypeDescriptor that owns its strings: read back from a spool whose writer is gone.
struct OwnedDescriptor {
    struct OwnedField {
        std::string name;
        RecordKind kind;
        std::string key = ",\"" + name + "\":";  ///< as it stands in every line
    };
    std::string name;
    EventClass event_class = EventClass::audit;
    std::vector<OwnedField> fields;
    std::uint32_t hash = 0;

    static OwnedDescriptor copy_of(const TypeDescriptor& descriptor);
    /// One line of JSON, and back; parse returns false for anything else or a wrong hash.
    std::string to_json() const;
    static bool parse(std::string_view json_line, OwnedDescriptor& descriptor);
};

enum class RecordError : std::uint8_t {
    none,
    cut_short,     ///< a length points beyond the record's end
    unknown_type,  ///< no descriptor of that hash
};

/// The descriptor of a hash, or nullptr.
using FindDescriptor = std::function<const OwnedDescriptor*(std::uint32_t hash)>;

/// Appends one event line (without '\n') to `out`:
///   {"type":"audit","time":1700000000000000,"actor":"user:42",…}
/// Text is escaped as JSON demands; invalid UTF-8 becomes U+FFFD; NaN and infinities become the
/// strings "NaN", "Infinity", "-Infinity". On error `out` is unchanged.
/// `replaced`: told how many U+FFFD stand for
/// what was not UTF-8, of a typed event (emit_json() takes no other).
RecordError append_record_json(std::span<const std::byte> record, const FindDescriptor& find,
                               std::string& out, std::size_t* replaced = nullptr);

}  // namespace homeward
