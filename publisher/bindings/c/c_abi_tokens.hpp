#pragma once

// What the files of homeward_replay.h share.

#include <homeward_replay.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string_view>
#include <vector>

#include <homeward/replay/token.hpp>

struct homeward_tokens {
    explicit homeward_tokens(const std::vector<homeward::replay::TokenKey>& keys) : signer(keys) {}
    homeward::replay::TokenSigner signer;
};

namespace homeward {

inline std::string_view text(const char* given) {
    return given == nullptr ? std::string_view() : std::string_view(given);
}

/// What does not fit is left out whole, and the answer is 0.
inline int write(std::string_view what, char* to, std::size_t bytes) {
    if (to == nullptr || what.empty() || what.size() >= bytes) return 0;
    std::memcpy(to, what.data(), what.size());
    to[what.size()] = '\0';
    return 1;
}

template <typename Row>
Row row_from(const char* const* columns) {
    Row row;
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = text(columns[i]);
    return row;
}

inline std::uint64_t unix_now_s() {
    return static_cast<std::uint64_t>(std::time(nullptr));
}

}  // namespace homeward
