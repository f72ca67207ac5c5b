#include <cerrno>
#include <vector>

#include <awkward.event.hpp>
#include <nlohmann/json.hpp>

#include "schemas/record_json.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

nlohmann::json json_of(const events::Awkward& event) {
    std::vector<std::byte> record(event.record_bytes());
    const std::byte* end = event.write_record(record.data(), 1'700'000'000'000'000);
    REQUIRE(end == record.data() + record.size());
    const auto owned = OwnedDescriptor::copy_of(events::Awkward::kDescriptor);
    std::string line;
    REQUIRE(append_record_json(
                record, [&](std::uint32_t) { return &owned; }, line) == RecordError::none);
    return nlohmann::json::parse(line);
}

}  // namespace

TEST_CASE("fields keep their values whatever they are named") {
    events::Awkward event;
    event.at = TimeUs{1};
    event.bytes = 2;
    event.time_us = 3;
    event.presence = false;
    event.to_text_ = events::Awkward::ToText::down;
    event.value = 0.5;
    event.errno_ = 4;
    CHECK(json_of(event) == nlohmann::json{{"type", "awkward"},
                                           {"time", 1'700'000'000'000'000},
                                           {"at", 1},
                                           {"bytes", 2},
                                           {"time_us", 3},
                                           {"presence", false},
                                           {"to_text", "down"},
                                           {"value", 0.5},
                                           {"errno", 4}});
}

TEST_CASE("a field that was not set is not in the event") {
    events::Awkward event;
    event.to_text_ = events::Awkward::ToText::up;
    const auto json = json_of(event);
    CHECK(json["at"] == 0);
    CHECK_FALSE(json.contains("bytes"));
    CHECK_FALSE(json.contains("presence"));
}
