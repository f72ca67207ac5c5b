#include <homeward/replay/answer.hpp>

#include <algorithm>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

const Regions kReplica{"scl", "ams"};
const Decision kReplayed{Verdict::replay, Reason::read_only_error, 409, 0};

std::string header_of(const Answer& answer, std::string_view name) {
    const auto found = std::find_if(answer.headers.begin(), answer.headers.end(),
                                    [&](const auto& header) { return header.first == name; });
    return found == answer.headers.end() ? "" : found->second;
}

}  // namespace

TEST_CASE("a replay answers with the header, no body, and is not stored") {
    const Answer answer = answer_to(kReplayed, kReplica);
    CHECK(answer.status == 409);
    CHECK(answer.body.empty());
    CHECK(header_of(answer, "fly-replay") == "region=scl");
    CHECK(header_of(answer, "cache-control") == "no-store");
    CHECK(answer.headers.size() == 2);
}

TEST_CASE("the JSON form replaces the header") {
    AnswerOptions options;
    options.as_json = true;
    options.target.timeout_ms = 800;
    const Answer answer = answer_to(kReplayed, kReplica, options);
    CHECK(answer.body == R"({"region":"scl","timeout":"800ms"})");
    CHECK(header_of(answer, "content-type") == kReplayContentType);
    CHECK(header_of(answer, "fly-replay").empty());
}

TEST_CASE("behind nginx the replay names the location and sends nothing that would leak") {
    AnswerOptions options;
    options.accel_prefix = "@homeward_replay_";
    const Answer answer = answer_to(kReplayed, kReplica, options);
    CHECK(header_of(answer, "x-accel-redirect") == "@homeward_replay_scl");
    CHECK(header_of(answer, "fly-replay") == "region=scl");
    CHECK(answer.headers.size() == 2);
}

TEST_CASE("a refusal says why, when to come again, and is not stored") {
    const Answer answer =
        answer_to({Verdict::refuse, Reason::primary_is_read_only, 503, 5}, kReplica);
    CHECK(answer.status == 503);
    CHECK(header_of(answer, "retry-after") == "5");
    CHECK(header_of(answer, "cache-control") == "no-store");
    CHECK(answer.body.find("read-only") != std::string::npos);
    CHECK(header_of(answer, "fly-replay").empty());
}

TEST_CASE("a primary region that is no region name is an error, not a silent 409") {
    const Answer answer = answer_to(kReplayed, {"scl\r\nset-cookie: a=b", "ams"});
    CHECK(answer.status == 500);
    CHECK(header_of(answer, "fly-replay").empty());
    CHECK(answer.body.find("PRIMARY_REGION") != std::string::npos);
    AnswerOptions options;
    options.target.region = "scl";
    options.accel_prefix = "@homeward_replay_";
    CHECK(answer_to(kReplayed, {"scl\r\nset-cookie: a=b", "ams"}, options).status == 500);
}

TEST_CASE("the log line names the reason and hides the query") {
    CHECK(log_line(kReplayed, "POST", "/orders?token=secret") ==
          "homeward: POST /orders: it wrote to a read replica: replayed in the primary region "
          "(409, read_only_error)");
    CHECK(log_line(kReplayed, "POST", "/a\nb").find('\n') == std::string::npos);
}
