#include "publisher/api/json_event.hpp"

#include <bit>

#include <audit.event.hpp>
#include <metric.event.hpp>

namespace homeward {

std::span<const std::string_view> Publisher::required_keys(std::string_view type) noexcept {
    if (type == events::Audit::kDescriptor.name) return events::Audit::kRequired;
    if (type == events::Metric::kDescriptor.name) return events::Metric::kRequired;
    return {};
}

JsonEvent::JsonEvent(std::string_view type, std::string_view object, std::int64_t time_us,
                     std::span<const std::string_view> required) noexcept
    : required_(required.empty() ? Publisher::required_keys(type) : required),
      text_(read_event_text(object, required_)),
      time_us_(time_us) {
    if (text_.fault == EventFault::none) judge_event(text_, type, time_us);
    if (text_.has_time) time_us_ = text_.time_us;
}

EmitResult JsonEvent::result() const noexcept {
    if (text_.fault != EventFault::none) return EmitResult::invalid;
    const auto present = static_cast<std::size_t>(std::popcount(text_.present));
    return present < required_.size() ? EmitResult::incomplete : EmitResult::accepted;
}

std::string JsonEvent::problem() const {
    if (text_.fault != EventFault::none) return explain(text_);
    for (std::size_t i = 0; i < required_.size(); ++i) {
        if ((text_.present >> i & 1) != 0) continue;
        return "field \"" + std::string(required_[i]) + "\" is missing, but required";
    }
    return "";
}

}  // namespace homeward
