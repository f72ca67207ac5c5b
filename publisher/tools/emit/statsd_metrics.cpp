#include "publisher/tools/emit/statsd_metrics.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>
#include <utility>

namespace homeward {
namespace {

// Limits of homeward::Attributes and of an instrument's name.
constexpr std::size_t kTagsMax = 64;
constexpr std::size_t kKeyBytesMax = 255;
constexpr std::size_t kValueBytesMax = 1024;
constexpr std::size_t kNameBytesMax = 255;
/// Name, tags' names and values: what a series takes is a multiple of it.
constexpr std::size_t kIdentityBytesMax = 4096;
/// A sampled value is recorded 1 / rate times. Some milliseconds, in which other sockets wait.
constexpr std::size_t kRecordsMax = 1'000'000;
constexpr double kHalf = 0.5;
/// Before a name that does not begin with a letter.
constexpr std::string_view kNamePrefix = "statsd.";

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_name_character(char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' || c == '/';
}
char lowercase(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// What comes from outside may be long, or no text at all.
std::string in_quotes(std::string_view text) {
    constexpr std::size_t kShownMax = 80;
    std::string shown = "\"";
    for (const char c : text.substr(0, kShownMax)) shown += c >= ' ' && c <= '~' ? c : '?';
    return shown + (text.size() > kShownMax ? "…\"" : "\"");
}

/// Room for the series of this program itself.
MeterOptions meter_options(const StatsdOptions& options) {
    return {.interval = options.interval, .series_max = options.series_max + kStatsdFaults};
}

StatsdFault fault_of(StatsdLine& line, StatsdFault fault, std::string_view why) {
    line.fault = fault;
    line.why = why;
    return fault;
}

}  // namespace

StatsdMetrics::StatsdMetrics(Publisher& publisher, const StatsdOptions& options, Log log)
    : meter_(publisher, meter_options(options)), options_(options), log_(std::move(log)) {
    for (std::size_t i = 1; i < kStatsdFaults; ++i) {
        refused_[i] =
            meter_.counter("homeward.statsd.refused_lines",
                           {{"cause", name_of(static_cast<StatsdFault>(i))}}, {.unit = "{line}"});
    }
    datagrams_lost_ = meter_.counter("homeward.statsd.lost_datagrams", {}, {.unit = "{datagram}"});
}

void StatsdMetrics::take(std::string_view datagram) {
    records_left_ = kRecordsMax;
    while (!datagram.empty()) {
        const std::size_t end = std::min(datagram.find('\n'), datagram.size());
        std::string_view line = datagram.substr(0, end);
        datagram.remove_prefix(std::min(end + 1, datagram.size()));
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (!line.empty()) take_line(line);
    }
}

void StatsdMetrics::refuse_datagram() {
    ++tally_.lines;
    refuse(StatsdFault::datagram, "a datagram is longer than 300 KiB", "");
}

void StatsdMetrics::add_lost(std::string_view socket, std::uint64_t count) {
    tally_.datagrams_lost += count;
    datagrams_lost_.add(count);
    if (tally_.datagrams_lost < 2 * lost_said_) return;
    lost_said_ = tally_.datagrams_lost;
    log_("statsd: " + std::to_string(lost_said_) + " datagrams were lost, lately at " +
         std::string(socket) +
         ": its receive buffer was full. Raise net.core.rmem_max (at most 4 MiB are used), send "
         "several lines per datagram, or use statsd+unixgram, whose senders wait");
}

void StatsdMetrics::finish() {
    for (auto& [key, series] : series_) {
        auto* counter = std::get_if<Counter>(&series.instrument);
        if (counter != nullptr && series.carried >= kHalf) counter->add(1);
        series.carried = 0;
    }
}

void StatsdMetrics::take_line(std::string_view text) {
    ++tally_.lines;
    StatsdLine line = read_statsd_line(text);
    if (line.fault != StatsdFault::none || !read_identity(line, text)) {
        return refuse(line.fault, line.why, text);
    }
    make_key(line.type);
    const auto known = series_.find(key_);
    if (known != series_.end()) {
        if (!apply(line, known->second, true)) refuse(line.fault, line.why, text);
        return;
    }
    try {
        Series series = make_series(line.type);
        const bool is_measuring = std::visit(
            [](const auto& instrument) { return instrument.is_measuring(); }, series.instrument);
        if (!is_measuring) {
            return refuse(
                StatsdFault::series_max,
                "a new name beyond --statsd-series-max; raise it, or use fewer tag values", text);
        }
        const bool is_kept = series_.size() < options_.series_max;
        if (!is_kept) series.carried = kHalf;  // nothing is carried over: rounds
        if (!apply(line, series, is_kept)) return refuse(line.fault, line.why, text);
        if (is_kept) series_.emplace(key_, series);
    } catch (const std::invalid_argument& error) {
        refuse(StatsdFault::conflict, error.what(), text);
    }
}

void StatsdMetrics::refuse(StatsdFault fault, std::string_view why, std::string_view text) {
    const auto index = static_cast<std::size_t>(fault);
    refused_[index].add(1);
    if (++tally_.refused[index] > 1) return;
    log_("statsd: line refused: " + std::string(why) +
         (text.empty() ? std::string() : ": " + in_quotes(text)) +
         " (further ones are only counted: " + std::string(name_of(fault)) + ")");
}

bool StatsdMetrics::read_identity(StatsdLine& line, std::string_view text) {
    read_name(line.name, text);
    tags_.clear();
    std::string_view rest = line.tags;
    for (StatsdTag tag; next_tag(rest, tag);) {
        if (tag.key.size() > kKeyBytesMax || tag.value.size() > kValueBytesMax) {
            fault_of(line, StatsdFault::tags,
                     "a tag's name is above 255 bytes, or its value above 1,024");
            return false;
        }
        // The last of one name counts.
        const auto same = std::find_if(tags_.begin(), tags_.end(),
                                       [&](const StatsdTag& one) { return one.key == tag.key; });
        if (same != tags_.end()) {
            same->value = tag.value;
        } else if (tags_.size() == kTagsMax) {
            fault_of(line, StatsdFault::tags, "more than 64 tags");
            return false;
        } else {
            tags_.push_back(tag);
        }
    }
    if (name_.size() > kNameBytesMax) {
        fault_of(line, StatsdFault::name, "a name is above 255 bytes");
        return false;
    }
    std::size_t bytes = name_.size();
    for (const StatsdTag& tag : tags_) bytes += tag.key.size() + tag.value.size();
    if (bytes > kIdentityBytesMax) {
        fault_of(line, StatsdFault::tags, "name and tags are above 4,096 bytes");
        return false;
    }
    std::sort(tags_.begin(), tags_.end(),
              [](const StatsdTag& a, const StatsdTag& b) { return a.key < b.key; });
    return true;
}

void StatsdMetrics::read_name(std::string_view sent, std::string_view text) {
    name_ = is_letter(sent.front()) ? std::string_view() : kNamePrefix;
    for (const char c : sent) name_ += is_name_character(c) ? c : '_';
    if (name_ == sent || ++tally_.renamed > 1) return;
    log_("statsd: name changed to " + in_quotes(name_) + ": " + in_quotes(text) +
         " (names begin with a letter and have letters, digits, '_', '.', '-' and '/')");
}

/// Neither a name nor a tag has a line end, and no tag's name has a colon.
void StatsdMetrics::make_key(StatsdType type) {
    key_.assign(1, static_cast<char>('0' + static_cast<int>(type)));
    std::transform(name_.begin(), name_.end(), std::back_inserter(key_), lowercase);
    for (const StatsdTag& tag : tags_) {
        key_ += '\n';
        key_ += tag.key;
        key_ += ':';
        key_ += tag.value;
    }
}

StatsdMetrics::Series StatsdMetrics::make_series(StatsdType type) {
    std::vector<Attribute> list;
    for (const StatsdTag& tag : tags_) list.push_back({tag.key, tag.value});
    const Attributes attributes{std::span<const Attribute>(list)};
    switch (type) {
        case StatsdType::counter:
            return {meter_.counter(name_, attributes)};
        case StatsdType::gauge:
            return {meter_.gauge(name_, attributes)};
        case StatsdType::timer:
            return {meter_.histogram(name_, attributes, {.unit = "ms"})};
        case StatsdType::histogram:
            break;
    }
    return {meter_.histogram(name_, attributes)};
}

bool StatsdMetrics::apply(StatsdLine& line, Series& series, bool is_kept) {
    std::string_view rest = line.values;
    for (std::string_view text; next_value(rest, text);) {
        const StatsdValue value = read_statsd_value(text).value_or(StatsdValue{});
        ++tally_.values;
        if (auto* counter = std::get_if<Counter>(&series.instrument)) {
            if (value.whole && line.rate == 1) {
                counter->add(*value.whole);
            } else {
                add_count(value.number / line.rate, series);
            }
        } else if (auto* histogram = std::get_if<Histogram>(&series.instrument)) {
            const double times = series.carried + 1 / line.rate;
            if (times > static_cast<double>(records_left_)) {
                fault_of(line, StatsdFault::rate,
                         "the values of a datagram, each divided by its sample rate, are more than "
                         "1,000,000");
                return false;
            }
            records_left_ -= static_cast<std::size_t>(times);
            series.carried = times;
            for (; series.carried >= 1; series.carried -= 1) histogram->record(value.number);
        } else {
            const bool is_relative = value.is_signed && options_.has_relative_gauges;
            if (is_relative && !is_kept) {
                fault_of(line, StatsdFault::series_max,
                         "a relative gauge beyond --statsd-series-max has no value of its own");
                return false;
            }
            const double now = is_relative ? series.value + value.number : value.number;
            if (!std::isfinite(now)) {
                fault_of(line, StatsdFault::value, "a relative gauge would be infinite");
                return false;
            }
            series.value = now;
            std::get<Gauge>(series.instrument).record(now);
        }
    }
    return true;
}

void StatsdMetrics::add_count(double count, Series& series) {
    series.carried += count;
    const double whole = std::floor(series.carried);
    series.carried -= whole;
    std::get<Counter>(series.instrument).add(static_cast<std::int64_t>(whole));
}

}  // namespace homeward
