#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/metrics/metrics.hpp"
#include "consumer/nats/stream.hpp"
#include "consumer/status/bottleneck.hpp"
#include "consumer/status/history.hpp"

namespace homeward::consumer {

/// How well all is, in the order of how soon somebody must come.
enum class Health : std::uint8_t { good, look, act };
std::string_view to_string(Health health);

struct Reason {
    Health health;
    std::string title;    ///< in a few words, the same as long as it lasts: no counts, no times
    std::string text;     ///< what is wrong
    std::string remedy;   ///< what to do about it; empty: see `command`, or it mends itself
    std::string command;  ///< what to type; empty: nothing
    bool has_own_log_line = false;  ///< whoever finds it logs its start and its end
};
/// Everything that is not well; the worst first. Empty: all is well. `fresh`: of the last minute.
/// `streams` says which region a stream is of.
std::vector<Reason> find_reasons(const Metrics& metrics, const Freshness& fresh, Limit limit,
                                 bool is_nats_connected, const std::vector<Stream>& streams = {});
Health worst_of(const std::vector<Reason>& reasons);
/// "Needs action: region ams does not answer, and 2 more"
std::string headline_of(const std::vector<Reason>& reasons);

}  // namespace homeward::consumer
