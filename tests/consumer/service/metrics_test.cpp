// /metrics through the whole line: every number that an operator is promised, with what it counts
// having happened; and promtool has nothing to say against names, units and types.

#include <fstream>

#include "schemas/nats/subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

bool reaches(Bridge& bridge, const std::string& series, double value) {
    INFO(series);
    return wait_until(45s, [&] { return bridge.metric(series) >= value; });
}

std::string body_of(const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
}

}  // namespace

TEST_CASE("every promised metric is there and counts what has happened") {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "200"}};
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string frame = sender.frame(1, 10);
    sender.send(frame);
    REQUIRE(reaches(bridge, "homeward_rows_total", 10));
    sender.send(frame);  // once more: skipped, in a batch of its own
    REQUIRE(reaches(bridge, "homeward_skipped_events_total", 10));
    sender.send(sender.frame(6, 10));  // overlaps in part: quarantined
    sender.send(sender.frame(21, 5));  // seqs 11 to 20 are a hole
    NatsClient plain(bridge.leaf().port());
    plain.publish(plain_subject("ams", "web"), audit_line("r"));
    plain.publish(plain_subject("ams", "web"), "no JSON");
    plain.publish(plain_subject("ams", "web"), R"({"type":"not_known_yet"})");

    const std::string audit = R"({region="ams",class="audit"})";
    for (const auto& [series, value] : std::vector<std::pair<std::string, double>>{
             {"homeward_rows_total", 16},
             {"homeward_row_bytes_total", 16 * 40},
             {"homeward_messages_total", 7},
             {"homeward_message_bytes_total", 7 * 20},
             {"homeward_batches_total", 2},
             {"homeward_batch_rows_count", 2},
             {"homeward_batch_delay_seconds_count", 2},
             {"homeward_batch_seconds_count", 2},
             {"homeward_batch_decode_seconds_count", 2},
             {"homeward_batch_copy_seconds_count", 1},
             {"homeward_batch_commit_seconds_count", 1},
             {"homeward_freshness_seconds_count" + audit, 15},
             {"homeward_freshness_seconds_sum" + audit, 0.0},
             {"homeward_skipped_events_total", 10},
             {"homeward_conflicts_total", 1},
             {"homeward_redos_total", 1},
             {"homeward_dead_letters_total", 1},
             {"homeward_parked_total", 1},
             {"homeward_dead_letters_waiting{state=\"open\"}", 1},
             {"homeward_dead_letters_waiting{state=\"parked\"}", 1},
             {"homeward_dead_letters_waiting_bytes", 7},
             {"homeward_holes", 10},
             {"homeward_compacted_frames_total", 1},
             {"homeward_folded_frames_total", 1},  // its name until 1.0
             {"homeward_leader_up", 1},
         }) {
        INFO(series << "\n" << bridge.admin("/metrics"));
        CHECK(reaches(bridge, series, value));
    }
    for (const char* series :
         {"homeward_redelivered_total", "homeward_redriven_total", "homeward_delayed_naks_total",
          "homeward_given_back_total", "homeward_tombstones_total", "homeward_replaced_nuls_total",
          "homeward_paused", "homeward_dead_letter_quota_full", "homeward_dead_letters_full",
          "homeward_holes_missing"}) {
        INFO(series);
        CHECK(bridge.metric(series) == 0);
    }

    // What waits is known also while nothing is taken.
    bridge.leader().freeze();
    for (int i = 0; i < 3; ++i) sender.send(sender.frame(100 + 10 * static_cast<unsigned>(i), 10));
    CHECK(reaches(bridge, "homeward_unacknowledged_messages{stream=\"HOMEWARD_AUDIT_ams\"}", 3));
    CHECK(bridge.metric("homeward_pending_messages{stream=\"HOMEWARD_PLAIN_ams\"}") == 0);
    CHECK(reaches(bridge, "homeward_stream_bytes{stream=\"HOMEWARD_AUDIT_ams\"}", 1));
    bridge.leader().thaw();
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("promtool finds nothing wrong with the metrics") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    REQUIRE(reaches(bridge, "homeward_rows_total", 10));
    const auto file = bridge.dir() / "metrics";
    std::ofstream(file) << body_of(bridge.admin("/metrics"));
    ProcessOptions options;
    options.input = file;
    const CommandResult checked = run_command({"promtool", "check", "metrics"}, options);
    INFO(checked.output << read_file(file));
    CHECK(checked.exit_code == 0);
    CHECK(checked.output.empty());
    CHECK(bridge.stop_consumer() == 0);
}
