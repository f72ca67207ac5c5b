#pragma once

// A decision as an HTTP answer, for adapters to copy into their library's response.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <homeward/replay/decide.hpp>
#include <homeward/replay/fly_replay.hpp>

namespace homeward::replay {

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

/// A whole answer: whatever the handler had begun is to be thrown away for it, cookies included.
struct Answer {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

/// For any decision but proceed. Should the primary region's name be no region name, the answer
/// is 500 with that reason: an app with such settings must not run silently without replays.
Answer answer_to(const Decision& decision, const Regions& regions,
                 const AnswerOptions& options = {});

/// "homeward: POST /orders: it wrote to a read replica: replayed in the primary region (409,
/// read_only_error)". The path without its query, which may hold secrets.
std::string log_line(const Decision& decision, std::string_view method, std::string_view target);

}  // namespace homeward::replay
