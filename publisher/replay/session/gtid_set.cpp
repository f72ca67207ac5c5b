#include "publisher/replay/session/gtid_set.hpp"

#include <algorithm>
#include <charconv>

namespace homeward::replay {
namespace {

constexpr std::size_t kUuidChars = 36;

template <typename Number>
bool read(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

/// Takes what stands before the separator off the front.
std::string_view take(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpaces = " \r\n\t";
    const std::size_t begin = std::min(text.find_first_not_of(kSpaces), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

/// Lower case, so that a set has one spelling. "" for what is no UUID.
std::string uuid_of(std::string_view text) {
    if (text.size() != kUuidChars) return "";
    std::string uuid;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i] >= 'A' && text[i] <= 'F' ? static_cast<char>(text[i] + 32) : text[i];
        const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        const bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (is_dash ? c != '-' : !is_digit) return "";
        uuid += c;
    }
    return uuid;
}

}  // namespace

std::optional<MariadbGtids> MariadbGtids::parse(std::string_view text) {
    MariadbGtids gtids;
    while (!text.empty()) {
        std::string_view gtid = take(text, ',');
        std::uint32_t domain = 0;
        std::uint32_t server = 0;
        std::uint64_t seq = 0;
        if (!read(take(gtid, '-'), domain) || !read(take(gtid, '-'), server) || !read(gtid, seq)) {
            return std::nullopt;
        }
        std::uint64_t& last = gtids.last_[domain];
        last = std::max(last, seq);
    }
    return gtids;
}

bool MariadbGtids::contains(const MariadbGtids& other) const {
    return std::all_of(other.last_.begin(), other.last_.end(), [&](const auto& wanted) {
        const auto found = last_.find(wanted.first);
        return found != last_.end() && found->second >= wanted.second;
    });
}

std::optional<MysqlGtids> MysqlGtids::parse(std::string_view text) {
    MysqlGtids gtids;
    while (!trimmed(text).empty()) {
        std::string_view part = trimmed(take(text, ','));
        const std::string uuid = uuid_of(take(part, ':'));
        if (uuid.empty() || part.empty()) return std::nullopt;
        if (!add(part, gtids.intervals_[uuid])) return std::nullopt;
    }
    return gtids;
}

bool MysqlGtids::add(std::string_view text, std::vector<Interval>& intervals) {
    while (!text.empty()) {
        std::string_view bounds = take(text, ':');
        Interval interval;
        const bool is_range = bounds.find('-') != std::string_view::npos;
        if (!read(take(bounds, '-'), interval.first)) return false;
        interval.second = interval.first;
        if (is_range && !read(bounds, interval.second)) return false;
        if (interval.first == 0 || interval.second < interval.first) return false;
        intervals.push_back(interval);
    }
    std::sort(intervals.begin(), intervals.end());
    std::vector<Interval> joined;
    for (const Interval& interval : intervals) {
        if (!joined.empty() && interval.first - 1 <= joined.back().second) {
            joined.back().second = std::max(joined.back().second, interval.second);
        } else {
            joined.push_back(interval);
        }
    }
    intervals = std::move(joined);
    return true;
}

bool MysqlGtids::contains(const MysqlGtids& other) const {
    for (const auto& [uuid, wanted] : other.intervals_) {
        const auto found = intervals_.find(uuid);
        if (found == intervals_.end()) return false;
        const std::vector<Interval>& have = found->second;
        const bool has_all = std::all_of(wanted.begin(), wanted.end(), [&](const Interval& one) {
            return std::any_of(have.begin(), have.end(), [&](const Interval& all) {
                return all.first <= one.first && all.second >= one.second;
            });
        });
        if (!has_all) return false;
    }
    return true;
}

std::string MysqlGtids::part_of(const std::string& uuid) const {
    const auto found = intervals_.find(uuid_of(uuid));
    if (found == intervals_.end()) return "";
    std::string text = found->first;
    for (const auto& [first, last] : found->second) {
        text.append(":").append(std::to_string(first));
        if (last > first) text.append("-").append(std::to_string(last));
    }
    return text;
}

}  // namespace homeward::replay
