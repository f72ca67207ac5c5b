#include "publisher/scope/thread_scopes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <homeward/detail/lane_writer.hpp>

namespace homeward::thread_scopes {
namespace {

using Lanes = std::array<detail::ThreadLane, 2>;

/// Matches no publisher, nor the zero that a forked child reads.
constexpr std::uint64_t kNobody = UINT64_MAX;
constexpr Lanes kNoLanes{detail::ThreadLane{kNobody, nullptr, nullptr, {}, 0},
                         detail::ThreadLane{kNobody, nullptr, nullptr, {}, 0}};

// Trivial, so that it may still be read when the thread's other things are already destroyed.
constinit thread_local bool is_inside = false;

using Scopes = std::vector<std::shared_ptr<BufferedEvents>>;

struct Inside {
    Scopes scopes;
    Lanes lanes_before;  // what the thread remembered when it entered the first

    ~Inside() { is_inside = false; }
};

Inside& inside() {
    thread_local Inside inside;
    return inside;
}

template <typename Predicate>
void remove_if(Predicate is_over) noexcept {
    Scopes& scopes = inside().scopes;
    std::erase_if(scopes, [&](const auto& scope) { return is_over(*scope); });
    if (!scopes.empty()) return;
    is_inside = false;
    detail::thread_lanes = inside().lanes_before;
}

BufferedEvents* find_from(Scopes::reverse_iterator begin, const Publisher& publisher) noexcept {
    const auto end = inside().scopes.rend();
    const auto found = std::find_if(
        begin, end, [&](const auto& one) { return one->is_open() && one->belongs_to(publisher); });
    return found == end ? nullptr : found->get();
}

}  // namespace

void enter(std::shared_ptr<BufferedEvents> scope) {
    Inside& thread = inside();
    if (std::find(thread.scopes.begin(), thread.scopes.end(), scope) != thread.scopes.end()) return;
    thread.scopes.push_back(std::move(scope));
    if (!is_inside) thread.lanes_before = detail::thread_lanes;
    is_inside = true;
    detail::thread_lanes = kNoLanes;
}

void leave(const BufferedEvents& scope) noexcept {
    if (is_inside) remove_if([&](const BufferedEvents& one) { return &one == &scope; });
}

BufferedEvents* find(const Publisher& publisher) noexcept {
    if (!is_inside) return nullptr;
    // Another thread may have decided some.
    remove_if([](const BufferedEvents& one) { return !one.is_open(); });
    return find_from(inside().scopes.rbegin(), publisher);
}

BufferedEvents* find_around(const BufferedEvents& scope) noexcept {
    if (!is_inside) return nullptr;
    Scopes& scopes = inside().scopes;
    const auto own = std::find_if(scopes.rbegin(), scopes.rend(),
                                  [&](const auto& one) { return one.get() == &scope; });
    return find_from(own == scopes.rend() ? scopes.rbegin() : own + 1, scope.publisher());
}

Outside::Outside() noexcept : was_inside_(is_inside) {
    if (!was_inside_) return;
    is_inside = false;
    std::swap(detail::thread_lanes, inside().lanes_before);
}

Outside::~Outside() {
    if (!was_inside_) return;
    is_inside = true;
    std::swap(detail::thread_lanes, inside().lanes_before);
}

}  // namespace homeward::thread_scopes
