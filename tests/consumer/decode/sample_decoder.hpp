#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "consumer/decode/event_decoder.hpp"

namespace homeward::testing {

inline constexpr std::int64_t kDayUs = 86'400'000'000;
inline constexpr std::int64_t kNowUs = 1'790'000'000'000'000;

/// A row of the binary COPY format, taken apart again; nullopt for NULL. Throws std::runtime_error
/// when its lengths do not add up, for then PostgreSQL would refuse the whole batch.
std::vector<std::optional<std::string>> read_copy_row(std::string_view row);

/// The bytes of an integer as the network has them.
std::string big_endian(std::uint64_t value, std::size_t bytes);

/// Decodes one line at a time with the sample type, which has one field of each kind. One thread.
class SampleDecoder {
  public:
    SampleDecoder();

    consumer::EventOutcome decode(std::string line);
    /// The reason why this is no row; empty if it is one.
    std::string refusal(const std::string& line);
    /// As refusal(), of a sample event with these fields.
    std::string field(const std::string& fields);
    /// The binary value of this column when `json` is in it; throws if it is no row or NULL.
    std::string value(const std::string& column, const std::string& json);
    /// The column `extra` of the last row without jsonb's version byte; "" for NULL.
    std::string extra() const;
    std::uint64_t replaced_nuls() const { return decoder_.replaced_nuls(); }

    std::string rows;

  private:
    std::shared_ptr<const consumer::Catalog> catalog_;
    consumer::EventDecoder decoder_;
};

}  // namespace homeward::testing
