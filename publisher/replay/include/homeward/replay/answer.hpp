#pragma once

/// @file
/// A decision as an HTTP answer, for adapters to copy into their library's response.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <homeward/replay/decide.hpp>
#include <homeward/replay/fly_replay.hpp>

namespace homeward::replay {

/// How a replay is asked for.
struct AnswerOptions {
    /// How to replay; an empty region is filled in with the primary's. `state` is ours to choose.
    ReplayTarget target{};
    /// The JSON form instead of the header: for targets that do not fit into a header of the app's
    /// framework. nginx (deploy/nginx/) reads the header form only.
    bool as_json = false;
    /// Off the platform: "@homeward_replay_", as deploy/nginx/ expects. nginx then replays the
    /// request in the location of that name and the primary region's.
    std::string accel_prefix{};
};

/// A complete answer. It replaces everything that the handler has begun, cookies included.
struct Answer {
    int status = 0;                                            ///< HTTP status
    std::vector<std::pair<std::string, std::string>> headers;  ///< names and values
    std::string body;                                          ///< one sentence, or json_form()
};

/// Builds the answer of any decision but proceed. If the primary region's name is invalid, the
/// answer is 500 with that reason: such an app must not run silently without replays. Any thread.
/// @param decision of decide()
/// @param regions the primary region is the target
/// @param options how to ask for the replay
/// @return the answer to send instead of the handler's
Answer answer_to(const Decision& decision, const Regions& regions,
                 const AnswerOptions& options = {});

/// Formats a log line: "homeward: POST /orders: it wrote to a read replica: replayed in the primary
/// region (409, read_only_error)". Any thread.
/// @param decision of decide()
/// @param method the request's method
/// @param target path and query; the query is left out, as it may hold secrets
/// @return one line without its end
std::string log_line(const Decision& decision, std::string_view method, std::string_view target);

}  // namespace homeward::replay
