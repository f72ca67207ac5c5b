#pragma once

#include <memory>

#include "publisher/scope/buffered_events.hpp"

namespace homeward {

/// The scopes that the calling thread is inside, innermost last. While there is one, the thread's
/// remembered lanes are put aside, so that emit() leaves its fast path and finds the scope; so a
/// thread without a scope pays nothing for it.
namespace thread_scopes {

void enter(std::shared_ptr<BufferedEvents> scope);
void leave(const BufferedEvents& scope) noexcept;

/// The innermost undecided scope of that publisher, or nullptr.
BufferedEvents* find(const Publisher& publisher) noexcept;
/// The same of `scope`'s publisher and further out than `scope`, if the thread is inside that.
BufferedEvents* find_around(const BufferedEvents& scope) noexcept;

/// While one lives, the calling thread is inside no scope.
class Outside {
  public:
    Outside() noexcept;
    ~Outside();
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

  private:
    bool was_inside_;
};

}  // namespace thread_scopes
}  // namespace homeward
