#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "schemas/wire/frame.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

namespace homeward::testing {

/// A frame of a fresh publisher with these lines.
inline std::string metric_frame(const std::vector<std::string>& lines) {
    FrameHeader header;
    header.event_class = EventClass::metric;
    header.publisher = PublisherId::random();
    header.seq_count = header.line_count = static_cast<std::uint32_t>(lines.size());
    header.accepted = lines.size();
    std::string body;
    for (const std::string& line : lines) body += line + "\n";
    std::vector<std::byte> frame;
    FrameEncoder encoder;
    REQUIRE(encoder.encode(header, body, frame));
    return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

inline std::string audit_line(const std::string& actor) {
    return R"({"type":"audit","actor":")" + actor +
           R"(","action":"b","resource":"r","outcome":"allowed"})";
}

inline std::int64_t letters(Bridge& bridge, const std::string& state) {
    return bridge.leader().number("SELECT count(*) FROM homeward.dead_letter WHERE state = '" +
                                  state + "'");
}

/// Waits until nothing is in flight; returns the proof's own words.
inline std::string settled(Bridge& bridge) {
    const CommandResult proof =
        bridge.consumer_command({"proof", "--wait", "60", "--final"}, std::chrono::seconds(90));
    INFO(proof.output << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
    return proof.output;
}

inline BridgeOptions quick() {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "200"}};
    return options;
}

}  // namespace homeward::testing
