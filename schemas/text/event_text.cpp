#include "schemas/text/event_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "schemas/text/event.hpp"
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

/// Four hex digits, or -1.
int hex4(std::string_view text) {
    unsigned value = 0;
    if (text.size() < 4) return -1;
    const auto read = std::from_chars(text.data(), text.data() + 4, value, 16);
    return read.ec == std::errc{} && read.ptr == text.data() + 4 ? static_cast<int>(value) : -1;
}

/// A JSON string's bytes, one after another, without its escapes. NUL becomes U+FFFD, as it does in
/// the leader's columns. The text is valid.
class StringBytes {
  public:
    explicit StringBytes(std::string_view raw) : raw_(raw) {}

    /// -1 at the end.
    int next() {
        if (pending_at_ < pending_.size())
            return static_cast<unsigned char>(pending_[pending_at_++]);
        if (raw_.empty()) return -1;
        const char c = raw_.front();
        raw_.remove_prefix(1);
        if (c != '\\') return static_cast<unsigned char>(c);
        const char escape = raw_.front();
        raw_.remove_prefix(1);
        constexpr std::string_view kNames = "bfnrt";
        constexpr std::string_view kBytes = "\b\f\n\r\t";
        const std::size_t place = kNames.find(escape);
        if (place != std::string_view::npos) return kBytes[place];
        if (escape != 'u') return static_cast<unsigned char>(escape);
        return decode(take_code_point());
    }

  private:
    unsigned take_code_point() {
        auto code = static_cast<unsigned>(hex4(raw_));
        raw_.remove_prefix(4);
        if (code >= 0xd800 && code < 0xdc00) {
            const auto low = static_cast<unsigned>(hex4(raw_.substr(2)));
            raw_.remove_prefix(6);
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        return code == 0 ? 0xfffd : code;
    }
    int decode(unsigned code) {
        if (code < 0x80) return static_cast<int>(code);
        const auto tail = [code](unsigned shift) {
            return static_cast<char>(0x80 | ((code >> shift) & 0x3f));
        };
        pending_ = {tail(12), tail(6), tail(0)};
        pending_at_ = code < 0x800 ? 2 : code < 0x10000 ? 1 : 0;
        if (code < 0x800) return static_cast<int>(0xc0 | (code >> 6));
        if (code < 0x10000) return static_cast<int>(0xe0 | (code >> 12));
        return static_cast<int>(0xf0 | (code >> 18));
    }

    std::string_view raw_;
    std::array<char, 3> pending_{};
    std::size_t pending_at_ = 3;
};

bool has_escape(std::string_view raw) {
    return raw.find('\\') != std::string_view::npos;
}

bool is_same_string(std::string_view raw, std::string_view other_raw) {
    if (!has_escape(raw) && !has_escape(other_raw)) return raw == other_raw;
    StringBytes left(raw), right(other_raw);
    for (;;) {
        const int byte = left.next();
        if (byte != right.next()) return false;
        if (byte < 0) return true;
    }
}

std::uint32_t hash_of(std::string_view raw) {
    std::uint32_t hash = 2166136261u;
    const auto mix = [&hash](int byte) {
        hash = (hash ^ static_cast<std::uint32_t>(byte)) * 16777619u;
    };
    if (!has_escape(raw)) {
        for (char c : raw) mix(static_cast<unsigned char>(c));
    } else {
        StringBytes bytes(raw);
        for (int byte = bytes.next(); byte >= 0; byte = bytes.next()) mix(byte);
    }
    return hash;
}

/// Keys seen so far; finds one that stands twice without memory of its own on the heap.
class SeenKeys {
  public:
    bool is_new(std::string_view raw) {
        const std::uint32_t hash = hash_of(raw);
        std::uint64_t& word = filter_[(hash >> 6) % filter_.size()];
        const std::uint64_t bit = std::uint64_t{1} << (hash & 63);
        if ((word & bit) != 0) {
            for (std::size_t i = 0; i < count_; ++i) {
                if (hashes_[i] == hash && is_same_string(keys_[i], raw)) return false;
            }
        }
        word |= bit;
        if (count_ < keys_.size()) {
            hashes_[count_] = hash;
            keys_[count_++] = raw;
        }
        return true;
    }

  private:
    std::array<std::uint64_t, 16> filter_{};
    std::size_t count_ = 0;
    // Left as they are: only the first count_ are ever read.
    std::array<std::uint32_t, 512> hashes_;
    std::array<std::string_view, 512> keys_;
};

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
    const int code = rest[1] == 'u' ? hex4(rest.substr(2)) : -1;
    if (code < 0) return fail(EventFault::bad_escape, at_, rest.substr(0, 2));
    const auto is_between = [](int value, int low, int high) {
        return value >= low && value <= high;
    };
    at_ += 6;
    if (!is_between(code, 0xd800, 0xdfff)) return true;
    const int low = rest.substr(6, 2) == "\\u" ? hex4(rest.substr(8)) : -1;
    if (code >= 0xdc00 || !is_between(low, 0xdc00, 0xdfff)) {
        return fail(EventFault::lone_surrogate, at_ - 6, rest.substr(0, 6));
    }
    at_ += 6;
    return true;
}

std::string hex_byte(std::string_view text) {
    char hex[8];
    std::snprintf(
        hex, sizeof hex, "0x%02x",
        text.empty() ? 0u : static_cast<unsigned>(static_cast<unsigned char>(text.front())));
    return hex;
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

std::string explain(const EventText& text) {
    const std::string what = shown_text(text.what);
    const std::string here = " (byte " + std::to_string(text.at) + ")";
    switch (text.fault) {
        case EventFault::none:
            return "";
        case EventFault::byte_order_mark:
            return "begins with a byte order mark; send UTF-8 without one";
        case EventFault::not_an_object:
            return "not a JSON object on one line";
        case EventFault::cut_short:
            return "not a JSON object on one line: it ends before its object does" + here;
        case EventFault::not_json:
            return "unexpected \"" + what + "\"" + here + " in JSON";
        case EventFault::not_a_json_number:
            return what + here +
                   " is no JSON number; send null, or the string \"NaN\", \"Infinity\" or "
                   "\"-Infinity\" for a field of type number";
        case EventFault::bad_number:
            return what + here + " is not how JSON writes a number";
        case EventFault::bad_escape:
            return "\"" + what + "\"" + here + " is no escape that JSON has";
        case EventFault::control_character:
            return "the control character " + hex_byte(text.what) + here +
                   " must be escaped in a JSON string";
        case EventFault::lone_surrogate:
            return "lone surrogate " + what + here +
                   ", which UTF-8 does not have: send both halves, or U+FFFD";
        case EventFault::not_utf8:
            return "not UTF-8: byte " + hex_byte(text.what) + here + "; is it Latin-1? Send UTF-8";
        case EventFault::nested_too_deeply:
            return "nested more than " + std::to_string(kJsonDepthMax) + " levels deep" + here;
        case EventFault::duplicate_key:
            return "duplicate key \"" + what + "\"" + here;
        case EventFault::type_not_text:
            return "\"type\" is not a string" + here;
        case EventFault::type_missing:
            return "it has no type";
        case EventFault::type_differs:
            return "it names the type \"" + what + "\", but is emitted as another";
        case EventFault::type_reserved:
            return "type \"" + what + "\": names that begin with \"homeward.\" are reserved";
        case EventFault::type_impossible:
            return "type \"" + what + "\" can never be an event type; a name is " +
                   std::string(kTypeNameRule);
        case EventFault::time_unreadable:
            return "\"time\" is " + what + here +
                   "; send RFC 3339 text, such as \"2026-11-24T10:00:00Z\", or whole microseconds "
                   "since 1970-01-01 UTC";
        case EventFault::time_unit:
            return "\"time\" " + explain_time_unit(text.time_us);
        case EventFault::time_differs:
            return "its \"time\" is not the time that it is emitted with; give one of them";
    }
    return "";
}

}  // namespace homeward
