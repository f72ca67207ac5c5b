#include <homeward/replay/fly_replay.hpp>

#include <nlohmann/json.hpp>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

ReplayTarget everything() {
    ReplayTarget target;
    target.region = "scl";
    target.instance = "00bb33ff";
    target.app = "shop";
    target.state = "cart:7";
    target.elsewhere = true;
    target.timeout_ms = 2500;
    target.fallback = Fallback::force_self;
    return target;
}

}  // namespace

TEST_CASE("every field is in the header form") {
    CHECK(header_form(everything()) ==
          "region=scl;instance=00bb33ff;app=shop;state=cart:7;timeout=2500ms;fallback=force_self;"
          "elsewhere=true");
    ReplayTarget target;
    target.prefer_instance = "00bb33ff";
    target.fallback = Fallback::prefer_self;
    CHECK(header_form(target) == "prefer_instance=00bb33ff;fallback=prefer_self");
    target = {};
    target.elsewhere = true;
    CHECK(header_form(target) == "elsewhere=true");
}

TEST_CASE("a list of regions is quoted in the header form") {
    ReplayTarget target;
    target.region = "scl,gru,any";
    CHECK(header_form(target) == "region=\"scl,gru,any\"");
}

TEST_CASE("every field is in the JSON form, which parses") {
    const auto json = nlohmann::json::parse(json_form(everything()));
    CHECK(json == nlohmann::json::parse(R"({"region": "scl", "instance": "00bb33ff", "app": "shop",
        "state": "cart:7", "elsewhere": true, "timeout": "2500ms", "fallback": "force_self"})"));
}

TEST_CASE("no field can end itself, its header or its JSON string") {
    for (const char* poison : {"x\r\nset-cookie: a=b", "x;instance=y", "x\"", "x\\", "x y", "x\n",
                               "\xc3\xa9", "x,", ",x", "x,,y"}) {
        INFO(poison);
        for (auto field :
             {&ReplayTarget::region, &ReplayTarget::instance, &ReplayTarget::prefer_instance,
              &ReplayTarget::app, &ReplayTarget::state}) {
            ReplayTarget target;
            target.elsewhere = true;
            target.*field = poison;
            CHECK(check(target) != TargetError::none);
            CHECK_FALSE(explain(check(target)).empty());
            CHECK(header_form(target).empty());
            CHECK(json_form(target).empty());
        }
    }
    ReplayTarget target;
    target.elsewhere = true;
    target.state = std::string("a\0b", 3);
    CHECK(check(target) == TargetError::bad_state);
    target.state = std::string(kStateBytesMax + 1, 'a');
    CHECK(check(target) == TargetError::bad_state);
}

TEST_CASE("a target that names nothing, or two machines, is refused") {
    ReplayTarget target;
    target.state = "alone";
    CHECK(check(target) == TargetError::names_nothing);
    target.instance = "a";
    target.prefer_instance = "b";
    CHECK(check(target) == TargetError::bad_instance);
}

TEST_CASE("fly-replay-src is read whole, and a field of tomorrow does not disturb") {
    const auto source =
        parse_replay_src("instance=00bb33ff;region=ams; t=1700000000123456;state=cart:7;new=1");
    REQUIRE(source);
    CHECK(source->instance == "00bb33ff");
    CHECK(source->region == "ams");
    CHECK(source->state == "cart:7");
    CHECK(source->time_us == 1'700'000'000'123'456u);
    CHECK(parse_replay_src("")->time_us == 0);
}

TEST_CASE("a malformed fly-replay-src is no source") {
    for (const char* value :
         {"region", "=ams", "region=", "region=a;region=b", "t=12x", "t=99999999999999999999",
          "state=a b", "region=\r\nx: y", "t=-1", ";"}) {
        INFO(value);
        CHECK_FALSE(parse_replay_src(value));
    }
    CHECK_FALSE(parse_replay_src("state=" + std::string(kReplayHeaderBytesMax, 'a')));
}

TEST_CASE("fly-replay-failed is kept as text that is safe to log") {
    CHECK(parse_replay_failed("instance=x; reason=timeout")->detail ==
          "instance=x; reason=timeout");
    CHECK(parse_replay_failed("a\nb\x1b[31m")->detail == "a?b?[31m");
    CHECK_FALSE(parse_replay_failed(""));
    CHECK_FALSE(parse_replay_failed(std::string(kReplayHeaderBytesMax + 1, 'a')));
}
