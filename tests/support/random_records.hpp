#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "schemas/text/record_json.hpp"

namespace homeward::testing {

/// Lane records of several types, with good values and bad ones: the same for the same seed.
class RandomRecords {
  public:
    explicit RandomRecords(std::uint64_t seed);

    const std::vector<OwnedDescriptor>& types() const { return types_; }
    /// Of types().
    FindDescriptor find() const;
    std::vector<std::byte> next();
    /// Of one type, its fields good, and present unless it is sparse.
    std::vector<std::byte> next_good(const OwnedDescriptor& type, bool is_sparse = false);

  private:
    std::vector<std::byte> typed(const OwnedDescriptor& type, bool is_good, bool is_sparse);
    std::vector<std::byte> dynamic();
    void append_field(std::vector<std::byte>& record, const OwnedDescriptor::OwnedField& field,
                      bool is_good);
    std::string text_of(const std::string& field_name, bool is_good);
    std::string json_of(const std::string& field_name, bool is_good);
    bool one_in(unsigned count) { return random_() % count == 0; }

    std::mt19937_64 random_;
    std::vector<OwnedDescriptor> types_;
    std::int64_t time_us_ = 1'790'000'000'000'000;
};

}  // namespace homeward::testing
