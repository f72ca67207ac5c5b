// "host=db port=5432 dbname='my app' password='it\'s'", as libpq reads it.

#include <optional>

#include "publisher/replay/connection/host_rule.hpp"

namespace homeward::replay {
namespace {

constexpr const char* kMalformed =
    "DATABASE_URL must be a URL, as postgres://…, or be of the form \"host=… port=…\"";

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/// One "name = value", where it stands.
struct Setting {
    std::string_view name;
    std::string_view before;  ///< from the end of the setting before to this one's value
    std::string value;        ///< without quotes and backslashes
    std::string_view raw;     ///< with them
};

/// Reads one setting after the other.
class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    bool at_end() {
        skip_spaces();
        return at_ == text_.size();
    }
    /// What is left; spaces only, after at_end().
    std::string_view rest() const { return text_.substr(done_); }

    /// Nothing when it is malformed.
    std::optional<Setting> next() {
        Setting setting;
        const std::size_t begin = at_;
        while (at_ < text_.size() && text_[at_] != '=' && !is_space(text_[at_])) ++at_;
        setting.name = text_.substr(begin, at_ - begin);
        skip_spaces();
        if (at_ == text_.size() || text_[at_] != '=' || setting.name.empty()) return std::nullopt;
        ++at_;
        skip_spaces();
        const std::size_t value_begin = at_;
        setting.before = text_.substr(done_, value_begin - done_);
        if (!read_value(setting.value)) return std::nullopt;
        setting.raw = text_.substr(value_begin, at_ - value_begin);
        done_ = at_;
        return setting;
    }

  private:
    void skip_spaces() {
        while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    }

    /// False when a quote is never closed.
    bool read_value(std::string& value) {
        const bool is_quoted = at_ < text_.size() && text_[at_] == '\'';
        if (is_quoted) ++at_;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (is_quoted ? c == '\'' : is_space(c)) break;
            if (c == '\\' && ++at_ == text_.size()) break;
            value += text_[at_++];
        }
        if (!is_quoted) return true;
        return at_++ < text_.size();
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t done_ = 0;
};

std::string quoted(std::string_view value) {
    std::string text = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') text += '\\';
        text += c;
    }
    return text + "'";
}

struct Seen {
    bool has_host = false;
    bool has_port = false;
};

/// The setting's new value as it is to stand.
Rewritten rewrite_value(const Setting& setting, const HostRule& rule, Seen& seen) {
    if (setting.name == "host") {
        seen.has_host = true;
        Rewritten hosts = rule.hosts(setting.value);
        const bool is_plain = setting.raw == setting.value;
        if (hosts.error == nullptr && !is_plain) hosts.text = quoted(hosts.text);
        return hosts;
    }
    if (setting.name == "hostaddr" && !rule.keeps_host()) return {{}, kIsAddress};
    if (setting.name == "port" && !rule.keeps_port()) {
        seen.has_port = true;
        return {rule.port()};
    }
    if (setting.name == "target_session_attrs" && refuses_standby(setting.value)) return {"any"};
    // Nothing, or a backslash, would take for itself what comes to stand behind it.
    if (setting.raw.empty() || setting.raw.back() == '\\') return {quoted(setting.value)};
    return {std::string(setting.raw)};
}

}  // namespace

Rewritten rewrite_keywords(std::string_view keywords, const HostRule& rule) {
    Reader reader(keywords);
    Seen seen;
    std::string text;
    while (!reader.at_end()) {
        const auto setting = reader.next();
        if (!setting) return {{}, kMalformed};
        Rewritten value = rewrite_value(*setting, rule, seen);
        if (value.error != nullptr) return value;
        text.append(setting->before).append(value.text);
    }
    if (text.empty()) return {{}, kMalformed};
    if (!seen.has_host && !rule.keeps_host()) return {{}, kNoHost};
    text.append(reader.rest());
    if (!seen.has_port && !rule.keeps_port()) text += " port=" + rule.port();
    return {text};
}

}  // namespace homeward::replay
