#include <homeward/prometheus.hpp>

#include <cstdint>
#include <utility>

namespace homeward {
namespace {

/// A series for each class.
struct ClassSeries {
    const char* name;
    const char* type;
    const char* help;
    std::uint64_t ClassStats::*member;
};
constexpr ClassSeries kSeries[] = {
    {"accepted_total", "counter", "Events that emit() took, drops included.",
     &ClassStats::accepted},
    {"acknowledged_total", "counter", "Events that the stream has.", &ClassStats::acked},
    {"dropped_total", "counter", "Events reported as dropped or damaged.", &ClassStats::tombstoned},
    {"refused_total", "counter", "Events that were not taken, as the app was told.",
     &ClassStats::refused},
    {"scrubbed_total", "counter", "Typed events with text that was not UTF-8.",
     &ClassStats::scrubbed},
    {"retries_total", "counter", "Frames sent again.", &ClassStats::retries},
    {"wire_bytes_total", "counter", "Frames as first sent.", &ClassStats::wire_bytes},
    {"lane_events", "gauge", "Events that are not yet in a frame.", &ClassStats::in_lanes},
    {"log_events", "gauge", "Events in frames that the stream has not acknowledged.",
     &ClassStats::in_log},
    {"log_bytes", "gauge", "Size of the frame log, in whole segments.", &ClassStats::log_bytes},
    {"log_bytes_max", "gauge", "What it may grow to; beyond, audit is refused, metric dropped.",
     &ClassStats::log_bytes_max},
};

struct ReasonSeries {
    const char* reason;
    std::uint64_t RefusalStats::*member;
};
constexpr ReasonSeries kReasons[] = {
    {"lane_full", &RefusalStats::lane_full},
    {"scope_full", &RefusalStats::scope_full},
    {"too_large", &RefusalStats::too_large},
    {"type_unwritable", &RefusalStats::type_unwritable},
    {"invalid", &RefusalStats::invalid},
    {"incomplete", &RefusalStats::incomplete},
    {"unavailable", &RefusalStats::unavailable},
    {"closed", &RefusalStats::closed},
};

void append_head(std::string& text, const std::string& name, const char* type, const char* help) {
    text += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void append_gauge(std::string& text, const std::string& name, const char* help,
                  std::uint64_t value) {
    append_head(text, name, "gauge", help);
    text += name + " " + std::to_string(value) + "\n";
}

}  // namespace

std::string prometheus(const Stats& stats) {
    const std::string prefix = "homeward_publisher_";
    std::string text;
    for (const ClassSeries& series : kSeries) {
        const std::string name = prefix + series.name;
        append_head(text, name, series.type, series.help);
        text += name + "{class=\"audit\"} " + std::to_string(stats.audit.*series.member) + "\n";
        text += name + "{class=\"metric\"} " + std::to_string(stats.metric.*series.member) + "\n";
    }
    const std::string refusals = prefix + "refusals_total";
    append_head(text, refusals, "counter", "Events that were not taken, by reason.");
    for (const auto& [event_class, its] :
         {std::pair("audit", &stats.audit), std::pair("metric", &stats.metric)}) {
        for (const auto& [reason, member] : kReasons) {
            text += refusals + "{class=\"" + event_class + "\",reason=\"" + reason + "\"} " +
                    std::to_string(its->refused_by.*member) + "\n";
        }
    }
    append_gauge(text, prefix + "connected", "1 while there is a connection to NATS.",
                 stats.connected ? 1 : 0);
    append_gauge(text, prefix + "spools_recovering",
                 "Spools that dead processes have left and that are not yet sent.",
                 stats.spools_recovering);
    return text;
}

}  // namespace homeward
