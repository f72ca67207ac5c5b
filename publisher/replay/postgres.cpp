#include <homeward/replay/postgres.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace homeward::replay {
namespace {

constexpr std::array<std::pair<std::string_view, Cause>, 12> kCauseOfState = {{
    {kReadOnlySqlTransaction, Cause::read_only},
    {kFeatureNotSupported, Cause::unsupported},
    {"42P01", Cause::unknown_name},
    {"42703", Cause::unknown_name},
    {"42883", Cause::unknown_name},
    {"40001", Cause::conflict},
    {"40P01", Cause::conflict},
    {"08007", Cause::outcome_unknown},
    {"40003", Cause::outcome_unknown},
    {"57P01", Cause::connection},
    {"57P02", Cause::connection},
    {"57P03", Cause::connection},
}};

}  // namespace

Cause cause_of_sqlstate(std::string_view sqlstate) {
    if (sqlstate.empty()) return Cause::none;
    const auto known = std::find_if(kCauseOfState.begin(), kCauseOfState.end(),
                                    [&](const auto& entry) { return entry.first == sqlstate; });
    if (known != kCauseOfState.end()) return known->second;
    return sqlstate.substr(0, 2) == "08" ? Cause::connection : Cause::other;
}

std::string_view name_of(Cause cause) {
    switch (cause) {
        case Cause::none:
            return "none";
        case Cause::read_only:
            return "read_only";
        case Cause::unsupported:
            return "unsupported";
        case Cause::unknown_name:
            return "unknown_name";
        case Cause::conflict:
            return "conflict";
        case Cause::connection:
            return "connection";
        case Cause::outcome_unknown:
            return "outcome_unknown";
        case Cause::other:
            return "other";
    }
    return "other";
}

}  // namespace homeward::replay
