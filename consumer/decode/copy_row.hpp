#pragma once

// PostgreSQL's binary COPY format (documentation of COPY, "Binary Format"); the one place that
// knows it. All integers big-endian.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace homeward::consumer {

/// What stands before the first row and behind the last.
std::string_view copy_header();
std::string_view copy_trailer();

/// PostgreSQL counts time from 2000-01-01.
inline constexpr std::int64_t kPostgresEpochUs = 946'684'800'000'000;

/// Appends rows to a string. Fields in the order of the columns; each call is one field.
class CopyRow {
  public:
    /// The fields of one column of text or jsonb, one row after another, without their lengths.
    struct Joined {
        char separator;  ///< behind each
        char null;       ///< in the place of NULL
    };

    explicit CopyRow(std::string& out) : out_(out) {}
    CopyRow(std::string& out, Joined joined) : out_(out), joined_(joined) {}

    void begin(std::uint16_t columns);
    void null();
    void int2(std::int16_t value);
    void int4(std::int32_t value);
    void int8(std::int64_t value);
    void float4(float value);
    void float8(double value);
    void boolean(bool value);
    void text(std::string_view value);
    void jsonb(std::string_view json);
    /// Microseconds since 1970-01-01 UTC.
    void timestamptz(std::int64_t time_us);
    void bytes(std::string_view value);  ///< a field whose binary form is made elsewhere

    /// An array of one dimension; its elements follow as fields. Returns where its length stands.
    std::size_t begin_array(std::uint32_t element_oid, std::uint32_t elements);
    void end_array(std::size_t length_at);

  private:
    void join(std::string_view value);

    std::string& out_;
    std::optional<Joined> joined_;
};

}  // namespace homeward::consumer
