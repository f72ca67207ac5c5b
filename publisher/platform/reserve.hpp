#pragma once

#include <algorithm>
#include <cstddef>

namespace homeward {

/// Room for one element more, so that its push_back() does not throw. By doubling: with
/// reserve(size() + 1) each element would cost a copy of all others.
template <typename Vector>
void reserve_one_more(Vector& vector) {
    if (vector.size() < vector.capacity()) return;
    vector.reserve(std::max<std::size_t>(2 * vector.size(), 4));
}

}  // namespace homeward
