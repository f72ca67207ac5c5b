#include <homeward/replay/fly_replay.hpp>

#include <algorithm>
#include <charconv>

namespace homeward::replay {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

bool is_name_char(char c) {
    return is_lower(c) || is_digit(c) || c == '-' || c == '_';
}
bool is_id_char(char c) {
    return is_name_char(c) || is_upper(c);
}
bool is_state_char(char c) {
    return is_id_char(c) || std::string_view(".~:/+@%=").find(c) != std::string_view::npos;
}

/// A DNS label is the longest that an app, a machine or a region can be called.
constexpr std::size_t kNameBytesMax = 63;

template <typename IsChar>
bool is_made_of(std::string_view text, std::size_t bytes_max, IsChar is_char) {
    return !text.empty() && text.size() <= bytes_max &&
           std::all_of(text.begin(), text.end(), is_char);
}

bool is_region_list(std::string_view text) {
    if (text.size() > kStateBytesMax) return false;
    while (true) {
        const std::size_t comma = text.find(',');
        if (!is_made_of(text.substr(0, comma), kNameBytesMax, is_name_char)) return false;
        if (comma == std::string_view::npos) return true;
        text.remove_prefix(comma + 1);
    }
}

std::string_view name_of(Fallback fallback) {
    switch (fallback) {
        case Fallback::none:
            return "";
        case Fallback::prefer_self:
            return "prefer_self";
        case Fallback::force_self:
            return "force_self";
    }
    return "";
}

/// Calls `field(name, value)` for each one that is set, in the order of the documentation. Values
/// hold nothing that would need quoting, but for the comma in a list of regions.
template <typename Field>
void each_field(const ReplayTarget& target, Field field) {
    if (!target.region.empty()) field("region", target.region);
    if (!target.instance.empty()) field("instance", target.instance);
    if (!target.prefer_instance.empty()) field("prefer_instance", target.prefer_instance);
    if (!target.app.empty()) field("app", target.app);
    if (!target.state.empty()) field("state", target.state);
    if (target.timeout_ms > 0) field("timeout", std::to_string(target.timeout_ms) + "ms");
    if (target.fallback != Fallback::none) field("fallback", std::string(name_of(target.fallback)));
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

/// Where a field of fly-replay-src goes; nullptr for a field that we do not know.
std::string* slot_of(std::string_view name, ReplaySource& source, std::string& time) {
    if (name == "instance") return &source.instance;
    if (name == "region") return &source.region;
    if (name == "state") return &source.state;
    if (name == "t") return &time;
    return nullptr;
}

}  // namespace

TargetError check(const ReplayTarget& target) {
    if (target.region.empty() && target.instance.empty() && target.prefer_instance.empty() &&
        target.app.empty() && !target.elsewhere) {
        return TargetError::names_nothing;
    }
    if (!target.region.empty() && !is_region_list(target.region)) return TargetError::bad_region;
    if (!target.instance.empty() && !target.prefer_instance.empty()) {
        return TargetError::bad_instance;
    }
    for (const std::string* id : {&target.instance, &target.prefer_instance}) {
        if (!id->empty() && !is_made_of(*id, kNameBytesMax, is_id_char)) {
            return TargetError::bad_instance;
        }
    }
    if (!target.app.empty() && !is_made_of(target.app, kNameBytesMax, is_name_char)) {
        return TargetError::bad_app;
    }
    if (!target.state.empty() && !is_made_of(target.state, kStateBytesMax, is_state_char)) {
        return TargetError::bad_state;
    }
    return TargetError::none;
}

std::string_view explain(TargetError error) {
    switch (error) {
        case TargetError::none:
            return "";
        case TargetError::names_nothing:
            return "the replay names no target: set region, instance, app or elsewhere";
        case TargetError::bad_region:
            return "region must be names of a-z, 0-9, - and _, with commas between them";
        case TargetError::bad_instance:
            return "instance must be of letters, digits, - and _, and not beside prefer_instance";
        case TargetError::bad_app:
            return "app must be of a-z, 0-9, - and _";
        case TargetError::bad_state:
            return "state may hold at most 256 of A-Z a-z 0-9 . _ ~ : / + @ % = -; encode the rest";
    }
    return "";
}

std::string header_form(const ReplayTarget& target) {
    if (check(target) != TargetError::none) return {};
    std::string text;
    const auto separate = [&text] {
        if (!text.empty()) text += ';';
    };
    each_field(target, [&](std::string_view name, const std::string& value) {
        separate();
        const bool is_list = value.find(',') != std::string::npos;
        text.append(name).append(is_list ? "=\"" : "=").append(value).append(is_list ? "\"" : "");
    });
    if (target.elsewhere) {
        separate();
        text += "elsewhere=true";
    }
    return text;
}

std::string json_form(const ReplayTarget& target) {
    if (check(target) != TargetError::none) return {};
    std::string text = "{";
    const auto separate = [&text] {
        if (text.size() > 1) text += ',';
    };
    each_field(target, [&](std::string_view name, const std::string& value) {
        separate();
        text.append("\"").append(name).append("\":\"").append(value).append("\"");
    });
    if (target.elsewhere) {
        separate();
        text += "\"elsewhere\":true";
    }
    return text + "}";
}

std::optional<ReplaySource> parse_replay_src(std::string_view value) {
    if (value.size() > kReplayHeaderBytesMax) return std::nullopt;
    ReplaySource source;
    std::string time;
    while (!trimmed(value).empty()) {
        const std::size_t end = std::min(value.find(';'), value.size());
        const std::string_view field = trimmed(value.substr(0, end));
        value.remove_prefix(std::min(end + 1, value.size()));
        const std::size_t equals = field.find('=');
        if (equals == std::string_view::npos || equals == 0) return std::nullopt;
        const std::string_view content = field.substr(equals + 1);
        if (!is_made_of(content, kStateBytesMax, is_state_char)) return std::nullopt;
        std::string* slot = slot_of(field.substr(0, equals), source, time);
        if (slot == nullptr) continue;
        if (!slot->empty()) return std::nullopt;
        *slot = content;
    }
    if (time.empty()) return source;
    const auto [end, error] =
        std::from_chars(time.data(), time.data() + time.size(), source.time_us);
    if (error != std::errc() || end != time.data() + time.size()) return std::nullopt;
    return source;
}

std::optional<ReplayFailure> parse_replay_failed(std::string_view value) {
    value = trimmed(value);
    if (value.empty() || value.size() > kReplayHeaderBytesMax) return std::nullopt;
    ReplayFailure failure{std::string(value.substr(0, kStateBytesMax))};
    std::replace_if(
        failure.detail.begin(), failure.detail.end(), [](char c) { return c < ' ' || c > '~'; },
        '?');
    return failure;
}

}  // namespace homeward::replay
