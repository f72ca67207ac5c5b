#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/text/record_json.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::testing {

// Columns byte by byte, so also those that no encoder writes (columns/layout.hpp).

/// At one placeholder of a pattern: in `bytes` bytes each, how much more than `least` each number
/// is.
struct RawNumbers {
    unsigned bytes;
    std::uint64_t least;
    std::vector<std::uint64_t> more;
};

/// What a column of patterns has behind its encoding. `places` is empty with one pattern.
std::string raw_patterns(const std::vector<std::string>& patterns, const std::string& places,
                         const std::vector<RawNumbers>& numbers);

struct RawColumn {
    RecordKind kind;
    std::string name;
    std::string bytes;  ///< its encoding and what follows
};

/// A body of one block of columns, with its definition.
FrameContent raw_columns(const std::string& type, const std::vector<std::int64_t>& times_us,
                         const std::vector<RawColumn>& columns);

}  // namespace homeward::testing
