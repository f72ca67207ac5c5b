#include "schemas/text/event_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "schemas/text/event.hpp"
#include "schemas/text/json_string.hpp"
#include "schemas/text/json_text.hpp"
#include "schemas/text/rfc3339.hpp"

namespace homeward {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// One pass over one text.
class Scanner {
  public:
    Scanner(std::string_view json, std::span<const std::string_view> keys)
        : json_(json), keys_(keys) {}

    EventText scan() {
        scan_text();
        return text_;
    }

  private:
    bool fail(EventFault fault, std::size_t at, std::string_view what = {}) {
        text_.fault = fault;
        text_.at = at;
        text_.what = what;
        return false;
    }
    bool fail_here() {
        const std::string_view rest = json_.substr(at_);
        if (rest.empty()) return fail(EventFault::cut_short, at_);
        for (std::string_view name : {"NaN", "nan", "Infinity", "-Infinity", "inf", "-inf"}) {
            if (rest.substr(0, name.size()) == name) {
                return fail(EventFault::not_a_json_number, at_, name);
            }
        }
        if (static_cast<unsigned char>(rest.front()) >= 0x80 && utf8_length(rest) == 0) {
            return fail(EventFault::not_utf8, at_, rest.substr(0, 1));
        }
        return fail(EventFault::not_json, at_, rest.substr(0, utf8_length(rest)));
    }

    bool is_at(char c) const { return at_ < json_.size() && json_[at_] == c; }
    bool take(char c) {
        if (!is_at(c)) return false;
        ++at_;
        return true;
    }
    void skip_space() {
        while (at_ < json_.size() && is_space(json_[at_])) ++at_;
    }

    bool scan_text();
    bool scan_member();
    bool judge_member(std::string_view key, std::size_t key_at, std::string_view value,
                      std::size_t value_at);
    bool read_time(std::string_view value, std::size_t value_at);
    bool scan_value();
    bool open(bool is_object);
    bool scan_key();
    bool scan_scalar();
    bool scan_number();
    bool scan_string(std::string_view& raw);
    bool scan_escape();

    bool is_in_object() const { return (objects_[depth_ / 64] >> (depth_ % 64) & 1) != 0; }

    std::string_view json_;
    std::span<const std::string_view> keys_;
    std::size_t at_ = 0;
    EventText text_;
    std::size_t next_key_ = 0;  // of keys_, where the text's next is expected
    std::size_t depth_ = 0;
    std::array<std::uint64_t, kJsonDepthMax / 64 + 1> objects_{};  // bit: is an object
    SeenKeys seen_;
};

bool Scanner::scan_text() {
    if (json_.substr(0, 3) == "\xef\xbb\xbf") return fail(EventFault::byte_order_mark, 0);
    skip_space();
    if (!take('{')) return fail(EventFault::not_an_object, at_);
    depth_ = 1;
    skip_space();
    if (!take('}')) {
        do {
            skip_space();
            if (!scan_member()) return false;
            skip_space();
        } while (take(','));
        if (!take('}')) return fail_here();
    }
    skip_space();
    return at_ == json_.size() || fail_here();
}

bool Scanner::scan_member() {
    const std::size_t key_at = at_;
    std::string_view key;
    if (!is_at('"')) return fail_here();
    if (!scan_string(key)) return false;
    skip_space();
    if (!take(':')) return fail_here();
    skip_space();
    const std::size_t value_at = at_;
    if (!scan_value()) return false;
    return judge_member(key, key_at, json_.substr(value_at, at_ - value_at), value_at);
}

bool Scanner::judge_member(std::string_view key, std::size_t key_at, std::string_view value,
                           std::size_t value_at) {
    const bool is_escaped = has_escape(key);
    const auto is_key = [&](std::string_view name) {
        return is_escaped ? is_same_string(key, name) : key == name;
    };
    const bool is_time = is_key(kTimeKey);
    text_.has_time = text_.has_time || is_time;
    if (!seen_.is_new(key)) return fail(EventFault::duplicate_key, key_at, key);
    if (is_time) return read_time(value, value_at);
    if (is_key(kTypeKey)) {
        if (value.front() != '"') return fail(EventFault::type_not_text, value_at, value);
        text_.has_type = true;
        text_.type = value.substr(1, value.size() - 2);
        return true;
    }
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        const std::size_t candidate = (next_key_ + i) % keys_.size();
        if (!is_key(keys_[candidate])) continue;
        next_key_ = candidate + 1;
        if (value != "null") text_.present |= std::uint64_t{1} << candidate;
        break;
    }
    return true;
}

bool Scanner::read_time(std::string_view value, std::size_t value_at) {
    if (value.front() == '"') {
        std::array<char, 128> decoded;
        std::size_t size = 0;
        StringBytes bytes(value.substr(1, value.size() - 2));
        for (int byte = bytes.next(); byte >= 0; byte = bytes.next()) {
            if (size == decoded.size()) return fail(EventFault::time_unreadable, value_at, value);
            decoded[size++] = static_cast<char>(byte);
        }
        const auto time_us = parse_rfc3339({decoded.data(), size});
        if (!time_us) return fail(EventFault::time_unreadable, value_at, value);
        text_.time_us = *time_us;
        return true;
    }
    const char* end = value.data() + value.size();
    const auto read = std::from_chars(value.data(), end, text_.time_us);
    if (read.ec != std::errc{} || read.ptr != end) {
        return fail(EventFault::time_unreadable, value_at, value);
    }
    if (probable_unit(text_.time_us) != TimeUnit::microseconds) {
        return fail(EventFault::time_unit, value_at, value);
    }
    return true;
}

/// Any value with all that is in it.
bool Scanner::scan_value() {
    const std::size_t outer = depth_;
    for (;;) {
        bool is_empty = false;
        if (is_at('{') || is_at('[')) {
            const bool is_object = is_at('{');
            if (!open(is_object)) return false;
            skip_space();
            is_empty = is_at(is_object ? '}' : ']');
            if (!is_empty) {
                if (is_object && !scan_key()) return false;
                continue;
            }
        } else if (!scan_scalar()) {
            return false;
        }
        // Behind a value, or in front of the end of what is empty.
        bool is_next = false;
        while (depth_ > outer && !is_next) {
            skip_space();
            const bool is_object = is_in_object();
            if (take(is_object ? '}' : ']')) {
                --depth_;
            } else if (!is_empty && take(',')) {
                skip_space();
                if (is_object && !scan_key()) return false;
                is_next = true;
            } else {
                return fail_here();
            }
            is_empty = false;
        }
        if (depth_ == outer) return true;
    }
}

bool Scanner::open(bool is_object) {
    if (depth_ >= kJsonDepthMax) return fail(EventFault::nested_too_deeply, at_);
    ++at_;
    ++depth_;
    const std::uint64_t bit = std::uint64_t{1} << (depth_ % 64);
    std::uint64_t& word = objects_[depth_ / 64];
    word = is_object ? word | bit : word & ~bit;
    return true;
}

/// With its colon and the space behind.
bool Scanner::scan_key() {
    std::string_view key;
    if (!is_at('"')) return fail_here();
    if (!scan_string(key)) return false;
    skip_space();
    if (!take(':')) return fail_here();
    skip_space();
    return true;
}

bool Scanner::scan_scalar() {
    std::string_view raw;
    if (is_at('"')) return scan_string(raw);
    for (std::string_view word : {"true", "false", "null"}) {
        if (json_.compare(at_, word.size(), word) != 0) continue;
        at_ += word.size();
        return true;
    }
    if (at_ < json_.size() && (is_digit(json_[at_]) || json_[at_] == '-')) return scan_number();
    return fail_here();
}

bool Scanner::scan_number() {
    const std::size_t begin = at_;
    const auto take_digits = [this] {
        const std::size_t first = at_;
        while (at_ < json_.size() && is_digit(json_[at_])) ++at_;
        return at_ > first;
    };
    take('-');
    if (at_ < json_.size() && json_[at_] == 'I') {
        at_ = begin;
        return fail_here();
    }
    bool is_valid = take('0') || take_digits();
    if (is_valid && take('.')) is_valid = take_digits();
    if (is_valid && (take('e') || take('E'))) {
        if (!take('+')) take('-');
        is_valid = take_digits();
    }
    constexpr std::string_view kEnd = ",}] \t\r\n";
    const bool is_ended = at_ == json_.size() || kEnd.find(json_[at_]) != std::string_view::npos;
    if (is_valid && is_ended) return true;
    const std::size_t end = std::min(json_.find_first_of(kEnd, begin), json_.size());
    return fail(EventFault::bad_number, begin, json_.substr(begin, end - begin));
}

/// From its opening quote to behind its closing one; `raw` is what lies between.
bool Scanner::scan_string(std::string_view& raw) {
    const std::size_t begin = ++at_;
    for (;;) {
        const std::string_view rest = json_.substr(at_);
        at_ += count_plain(rest);
        if (at_ == json_.size()) return fail(EventFault::cut_short, at_);
        const auto c = static_cast<unsigned char>(json_[at_]);
        if (c == '"') {
            raw = json_.substr(begin, at_ - begin);
            ++at_;
            return true;
        }
        if (c == '\\') {
            if (!scan_escape()) return false;
        } else if (c < 0x20) {
            return fail(EventFault::control_character, at_, json_.substr(at_, 1));
        } else {
            const std::size_t length = utf8_length(json_.substr(at_));
            if (length == 0) return fail(EventFault::not_utf8, at_, json_.substr(at_, 1));
            at_ += length;
        }
    }
}

bool Scanner::scan_escape() {
    constexpr std::string_view kKnown = "\"\\/bfnrt";
    const std::string_view rest = json_.substr(at_);
    if (rest.size() < 2) return fail(EventFault::cut_short, json_.size());
    if (kKnown.find(rest[1]) != std::string_view::npos) {
        at_ += 2;
        return true;
    }
    const int code = rest[1] == 'u' ? parse_hex4(rest.substr(2)) : -1;
    if (code < 0) return fail(EventFault::bad_escape, at_, rest.substr(0, 2));
    const auto is_between = [](int value, int low, int high) {
        return value >= low && value <= high;
    };
    at_ += 6;
    if (!is_between(code, 0xd800, 0xdfff)) return true;
    const int low = rest.substr(6, 2) == "\\u" ? parse_hex4(rest.substr(8)) : -1;
    if (code >= 0xdc00 || !is_between(low, 0xdc00, 0xdfff)) {
        return fail(EventFault::lone_surrogate, at_ - 6, rest.substr(0, 6));
    }
    at_ += 6;
    return true;
}

}  // namespace

EventText read_event_text(std::string_view json, std::span<const std::string_view> keys) {
    return Scanner(json, keys).scan();
}

std::string decode_json_string(std::string_view raw) {
    std::string text;
    StringBytes bytes(raw);
    for (int byte = bytes.next(); byte >= 0; byte = bytes.next()) text += static_cast<char>(byte);
    return text;
}

bool has_own_time(std::string_view json) {
    const bool is_possible = json.find("\"time\"") != std::string_view::npos ||
                             json.find("\\u") != std::string_view::npos;
    return is_possible && read_event_text(json).has_time;
}

void judge_event(EventText& text, std::string_view type, std::int64_t time_us) {
    const auto fail = [&text](EventFault fault, std::string_view what) {
        text.fault = fault;
        text.at = 0;
        text.what = what;
    };
    if (text.has_type && !is_same_string(text.type, type)) {
        return fail(EventFault::type_differs, text.type);
    }
    if (type.empty()) return fail(EventFault::type_missing, {});
    if (is_reserved_type(type)) return fail(EventFault::type_reserved, type);
    if (!is_type_name(type)) return fail(EventFault::type_impossible, type);
    if (time_us == 0) return;
    if (text.has_time && text.time_us != time_us) return fail(EventFault::time_differs, {});
    if (!text.has_time && probable_unit(time_us) != TimeUnit::microseconds) {
        text.time_us = time_us;
        return fail(EventFault::time_unit, {});
    }
}

}  // namespace homeward
