#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace homeward {

/// How many characters must be inserted, removed, replaced or swapped with their neighbour.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        next[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            next[j] = std::min(
                {row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
            const bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (is_swap) next[j] = std::min(next[j], before[j - 2] + 1);
        }
        before.swap(row);
        row.swap(next);
    }
    return row.back();
}

/// The name that somebody meant who wrote `name`; nullopt when none is near.
inline std::optional<std::string> nearest(std::string_view name,
                                          const std::vector<std::string>& known) {
    constexpr std::size_t kDistanceMax = 2;
    const auto distance = [&](const std::string& one) { return edit_distance(name, one); };
    const auto best =
        std::min_element(known.begin(), known.end(),
                         [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
    if (best == known.end() || distance(*best) > kDistanceMax) return std::nullopt;
    return *best;
}

}  // namespace homeward
