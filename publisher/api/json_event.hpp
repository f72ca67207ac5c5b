#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <homeward/publisher.hpp>

#include "schemas/text/event_text.hpp"

namespace homeward {

/// An event as JSON text, judged before it is taken: what emit_json() accepts, the leader can read.
/// Borrows all that it is given. Allocates nothing but in problem().
class JsonEvent {
  public:
    /// `required` empty: those of the type that ships under this name, if one does.
    JsonEvent(std::string_view type, std::string_view object, std::int64_t time_us,
              std::span<const std::string_view> required) noexcept;

    /// accepted, invalid or incomplete.
    EmitResult result() const noexcept;
    /// Its own, or the one it is emitted with; 0: now.
    std::int64_t time_us() const noexcept { return time_us_; }
    /// For a person; empty if there is none.
    std::string problem() const;

  private:
    std::span<const std::string_view> required_;
    EventText text_;
    std::int64_t time_us_;
};

}  // namespace homeward
