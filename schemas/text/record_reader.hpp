#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace homeward {

/// Takes values off a record's front; `ok` turns false, and stays so, when the record is too short.
class RecordReader {
  public:
    explicit RecordReader(std::span<const std::byte> record) : left_(record) {}

    template <typename T>
    T take() {
        T value{};
        const auto bytes = take_bytes(sizeof(T));
        if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }
    std::string_view take_text(std::size_t length) {
        const auto bytes = take_bytes(length);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    std::string_view take_rest() { return take_text(left_.size()); }
    bool ok() const { return ok_; }

  private:
    std::span<const std::byte> take_bytes(std::size_t count) {
        if (count > left_.size()) {
            ok_ = false;
            left_ = {};
            return {};
        }
        const auto taken = left_.first(count);
        left_ = left_.subspan(count);
        return taken;
    }

    std::span<const std::byte> left_;
    bool ok_ = true;
};

}  // namespace homeward
