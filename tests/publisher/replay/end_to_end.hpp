#pragma once

// What the cases of replay_end_to_end_test share: databases, the examples in both regions, and how
// their answers are read. One thread.

#include <csignal>
#include <set>
#include <string>
#include <vector>

#include "tests/publisher/replay/regions/two_regions.hpp"
#include "tests/support/catch.hpp"

namespace homeward::testing {

inline constexpr const char* kText = "text/plain";
inline const std::string kReplayed = "homeward_replay_replayed_total{reason=\"read_only_error\"}";

inline Databases& databases() {
    static Databases shared;  // for all cases but those that break it
    return shared;
}

/// A client that is refused while it still sends meets a closed connection.
inline const auto kSigpipe = std::signal(SIGPIPE, SIG_IGN);

inline AppOptions app_in_ams(const std::string& program, const Databases& data) {
    return {program, "ams", "scl", data.leader.url(), data.replica->url(), {}};
}
inline AppOptions app_in_scl(const std::string& program, const Databases& data) {
    return {program, "scl", "scl", data.leader.url(), "", {}};
}

struct Example {
    std::string ams;
    std::string scl;
};
inline Example any_example() {
    return GENERATE(Example{HOMEWARD_EXAMPLE_HTTPLIB, HOMEWARD_EXAMPLE_BEAST},
                    Example{HOMEWARD_EXAMPLE_BEAST, HOMEWARD_EXAMPLE_HTTPLIB});
}

inline TwoRegions two_regions(const Example& example) {
    return {app_in_ams(example.ams, databases()), app_in_scl(example.scl, databases())};
}

/// Cases share the table.
inline std::string unique(const std::string& what) {
    static int count = 0;
    return what + " " + std::to_string(++count);
}

inline std::int64_t rows_of(const std::string& item) {
    return databases().leader.number("SELECT count(*) FROM orders WHERE item = '" + item + "'");
}

/// Nothing of the talk between app and proxy reaches the client.
inline void check_clean(const httplib::Response& response) {
    for (const char* name : {"fly-replay", "x-accel-redirect", "fly-replay-src"}) {
        INFO(name);
        CHECK_FALSE(response.has_header(name));
    }
}

inline std::set<std::string> cookies_of(const httplib::Response& response) {
    std::set<std::string> cookies;
    const auto [begin, end] = response.headers.equal_range("Set-Cookie");
    for (auto header = begin; header != end; ++header) cookies.insert(header->second);
    return cookies;
}

/// What a browser would send after this answer.
inline httplib::Headers session_of(const httplib::Response& response) {
    for (const std::string& cookie : cookies_of(response)) {
        if (cookie.rfind("__Host-", 0) == 0)
            return {{"Cookie", cookie.substr(0, cookie.find(';'))}};
    }
    return {};
}

/// curl's status for a request whose body it may not be able to send to its end.
inline std::string curl_post(const std::string& url, std::vector<std::string> words) {
    // Where it asks before it sends, it waits for the answer as long as a loaded machine takes.
    words.insert(words.begin(), {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                 "--expect100-timeout", "60"});
    words.push_back(url + "/orders");
    return run_command(words).output;
}

}  // namespace homeward::testing
