// homeward.h: what it says to who calls it wrongly, and programs of an earlier release.

#include <fcntl.h>
#include <homeward.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/log_text.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/servers/nats_server.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

homeward_options options() {
    homeward_options options{};
    options.size = sizeof options;
    options.region = "ams";
    options.app = "shop";
    options.nats_urls = "nats://127.0.0.1:1";  // nobody listens there
    return options;
}

}  // namespace

TEST_CASE("values that do not fit their type are told, and no event") {
    const homeward_options wanted = options();
    homeward_publisher* publisher = homeward_open(&wanted, nullptr, 0);
    REQUIRE(publisher != nullptr);
    const homeward_field fields[] = {{"code", HOMEWARD_TEXT}, {"weight_g", HOMEWARD_INTEGER}};
    homeward_type* parcel = homeward_define(publisher, "parcel", HOMEWARD_AUDIT, fields, 2);
    REQUIRE(parcel != nullptr);
    const homeward_value good[] = {homeward_text("p1", 2), homeward_integer(250)};
    const homeward_value swapped[] = {homeward_integer(250), homeward_text("p1", 2)};
    const homeward_value without_text[] = {homeward_text(nullptr, 2), homeward_absent()};
    CHECK(homeward_emit(publisher, parcel, good, 2) == HOMEWARD_ACCEPTED);
    CHECK(homeward_emit(publisher, parcel, nullptr, 2) == HOMEWARD_INVALID);
    CHECK(homeward_emit(publisher, parcel, good, 1) == HOMEWARD_INVALID);
    CHECK(homeward_emit(publisher, parcel, swapped, 2) == HOMEWARD_INVALID);
    CHECK(homeward_emit(publisher, parcel, without_text, 2) == HOMEWARD_INVALID);
    CHECK(homeward_emit(publisher, nullptr, good, 2) == HOMEWARD_INVALID);
    CHECK(homeward_emit(nullptr, parcel, good, 2) == HOMEWARD_INVALID);
    homeward_stats stats{};
    stats.size = sizeof stats;
    REQUIRE(homeward_get_stats(publisher, &stats) == 1);
    CHECK(stats.audit.accepted == 1);
    homeward_close(publisher, 0, nullptr);
    homeward_free(publisher);
}

TEST_CASE("a number that is no enumerator is refused, or taken for the default") {
    // As a program in C or Ruby may pass it; built with UBSan, this library must not load it as an
    // enumeration that it is no value of.
    homeward_options wanted = options();
    wanted.durability = static_cast<homeward_durability>(99);
    homeward_publisher* publisher = homeward_open(&wanted, nullptr, 0);
    REQUIRE(publisher != nullptr);
    const auto no_class = static_cast<homeward_class>(99);
    const auto no_kind = static_cast<homeward_kind>(99);
    const homeward_field good_fields[] = {{"code", HOMEWARD_TEXT}};
    const homeward_field bad_fields[] = {{"code", no_kind}};
    CHECK(homeward_define(publisher, "parcel", no_class, good_fields, 1) == nullptr);
    CHECK(homeward_define(publisher, "parcel", HOMEWARD_AUDIT, bad_fields, 1) == nullptr);
    CHECK(homeward_emit_json(publisher, no_class, "note", 4, "{}", 2, 0) == HOMEWARD_INVALID);
    homeward_type* parcel = homeward_define(publisher, "parcel", HOMEWARD_AUDIT, good_fields, 1);
    REQUIRE(parcel != nullptr);
    homeward_value value = homeward_text("p1", 2);
    CHECK(homeward_emit(publisher, parcel, &value, 1) == HOMEWARD_ACCEPTED);
    value.kind = no_kind;
    CHECK(homeward_emit(publisher, parcel, &value, 1) == HOMEWARD_INVALID);
    homeward_close(publisher, 0, nullptr);
    homeward_free(publisher);
}

TEST_CASE("an event that lacks a required field, or that the leader could not read, is refused") {
    const homeward_options wanted = options();
    homeward_publisher* publisher = homeward_open(&wanted, nullptr, 0);
    REQUIRE(publisher != nullptr);
    const homeward_field fields[] = {{"code", HOMEWARD_TEXT}, {"weight_g", HOMEWARD_INTEGER}};
    const char* const required[] = {"code"};
    const char* const unknown[] = {"cod"};
    CHECK(homeward_define_required(publisher, "parcel", HOMEWARD_AUDIT, fields, 2, unknown, 1) ==
          nullptr);
    homeward_type* parcel =
        homeward_define_required(publisher, "parcel", HOMEWARD_AUDIT, fields, 2, required, 1);
    REQUIRE(parcel != nullptr);
    const homeward_value without_code[] = {homeward_absent(), homeward_integer(250)};
    const homeward_value without_weight[] = {homeward_text("p1", 2), homeward_absent()};
    const std::string long_text(65'537, 'x');
    const homeward_value too_long[] = {homeward_text(long_text.data(), long_text.size()),
                                       homeward_absent()};
    CHECK(homeward_emit(publisher, parcel, without_code, 2) == HOMEWARD_INCOMPLETE);
    CHECK(homeward_emit(publisher, parcel, without_weight, 2) == HOMEWARD_ACCEPTED);
    CHECK(homeward_emit(publisher, parcel, too_long, 2) == HOMEWARD_TOO_LARGE);
    // Of a type that ships, the required fields are known.
    const homeward_field audit_fields[] = {{"actor", HOMEWARD_TEXT}, {"outcome", HOMEWARD_TEXT}};
    homeward_type* audit = homeward_define(publisher, "audit", HOMEWARD_AUDIT, audit_fields, 2);
    const homeward_value without_outcome[] = {homeward_text("u", 1), homeward_absent()};
    CHECK(homeward_emit(publisher, audit, without_outcome, 2) == HOMEWARD_INCOMPLETE);

    const auto emit = [&](const std::string& type, const std::string& json,
                          std::int64_t time_us = 0) {
        char why[256] = "";
        const int is_refused =
            homeward_explain_json(publisher, type.data(), type.size(), json.data(), json.size(),
                                  time_us, why, sizeof why);
        const homeward_result result = homeward_emit_json(
            publisher, HOMEWARD_AUDIT, type.data(), type.size(), json.data(), json.size(), time_us);
        CHECK((is_refused == 0) == (result == HOMEWARD_ACCEPTED));
        return std::to_string(result) + " " + why;
    };
    CHECK(emit("parcel", R"({"code":"p1"})") == "0 ");
    CHECK(emit("parcel", R"({"weight_g":1})") == "8 field \"code\" is missing, but required");
    CHECK(emit("audit", R"({"actor":"a","action":"b","resource":"c"})") ==
          "8 field \"outcome\" is missing, but required");
    CHECK(emit("other", R"({"time":"2026-11-24T10:00:00Z"})") == "0 ");
    CHECK(emit("other", R"({"time":"soon"})").substr(0, 18) == "7 \"time\" is \"soon\"");
    CHECK(emit("other", R"({"a":NaN})").substr(0, 1) == "7");
    CHECK(emit("other", R"({"a":1,"a":2})") == "7 duplicate key \"a\" (byte 7)");
    CHECK(emit("homeward.tombstone", R"({"reason":"x","count":100})").substr(0, 1) == "7");
    CHECK(emit("other", "{}", 1'795'935'675'000).find("milliseconds") != std::string::npos);
    homeward_close(publisher, 0, nullptr);
    homeward_free(publisher);
}

TEST_CASE("who would rather wait for room waits until its deadline") {
    homeward_options wanted = options();
    wanted.log_bytes_max = 16u << 20;
    homeward_publisher* publisher = homeward_open(&wanted, nullptr, 0);
    REQUIRE(publisher != nullptr);
    const homeward_field field{"note", HOMEWARD_TEXT};
    homeward_type* note = homeward_define(publisher, "note", HOMEWARD_AUDIT, &field, 1);
    REQUIRE(note != nullptr);
    std::string noise(60'000, ' ');
    homeward_result result = HOMEWARD_ACCEPTED;
    for (int i = 0; i < 1'000 && result != HOMEWARD_FULL; ++i) {
        for (char& c : noise) c = static_cast<char>('#' + std::rand() % 50);  // needs no escape
        const homeward_value value = homeward_text(noise.data(), noise.size());
        result = homeward_emit_wait(publisher, note, &value, 1, 2'000);  // no sender is as slow
    }
    REQUIRE(result == HOMEWARD_FULL);
    const std::string json = "{\"note\":\"" + noise + "\"}";
    const auto before = std::chrono::steady_clock::now();
    CHECK(homeward_emit_json_wait(publisher, HOMEWARD_AUDIT, "note", 4, json.data(), json.size(), 0,
                                  300) == HOMEWARD_FULL);
    CHECK(std::chrono::steady_clock::now() - before >= std::chrono::milliseconds(300));
    homeward_close(publisher, 0, nullptr);
    homeward_free(publisher);
}

TEST_CASE("a publisher that cannot be opened says why, in as many bytes as there are") {
    homeward_options wrong = options();
    wrong.region = "Amsterdam";
    char why[16] = "";
    CHECK(homeward_open(&wrong, why, sizeof why) == nullptr);
    CHECK(std::string(why) == std::string("publisher: region").substr(0, sizeof why - 1));
    wrong.size = 0;
    CHECK(homeward_open(&wrong, nullptr, 0) == nullptr);
    CHECK(homeward_open(nullptr, nullptr, 0) == nullptr);
}

TEST_CASE("a program that was compiled against 0.1.0's header works with this library") {
    const NatsServer nats;
    make_stream(nats, homeward::StreamKind::audit);
    const TempDir dir;
    const CommandResult ran =
        run_command({HOMEWARD_OLD_PROGRAM, nats.url(), (dir / "spool").string()});
    INFO(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(std::filesystem::is_empty(dir / "spool"));  // all was sent
    // And the header is 0.1.0's: it knows nothing of what has come since.
    const std::string header = read_file(HOMEWARD_OLD_HEADER);
    CHECK(header.find("homeward_options") != std::string::npos);
    CHECK(header.find("spool_bytes_max") == std::string::npos);
    CHECK(header.find("homeward_refusals") == std::string::npos);
}

TEST_CASE("options that 0.1.0 did not have reach the publisher from C") {
    const NatsServer nats;
    make_stream(nats, homeward::StreamKind::audit);
    NatsClient stream(nats.port());
    stream.subscribe("homeward.frame.audit.ams.shop");
    homeward_options wanted = options();
    const std::string url = nats.url();
    wanted.nats_urls = url.c_str();
    wanted.inbox_prefix = "_INBOX.mine";
    wanted.resend_age_ms = -1;
    wanted.resend_bytes_max = 1u << 20;
    homeward_publisher* publisher = homeward_open(&wanted, nullptr, 0);
    REQUIRE(publisher != nullptr);
    const std::string json = R"({"actor":"a","action":"b","resource":"c","outcome":"allowed"})";
    CHECK(homeward_emit_json(publisher, HOMEWARD_AUDIT, "audit", 5, json.data(), json.size(), 0) ==
          HOMEWARD_ACCEPTED);
    CHECK(stream.next_reply().rfind("_INBOX.mine.", 0) == 0);
    CHECK(homeward_close(publisher, 5'000, nullptr) == 1);
    homeward_free(publisher);

    char why[256] = "";
    wanted.inbox_prefix = "_INBOX.*";
    CHECK(homeward_open(&wanted, why, sizeof why) == nullptr);
    CHECK(std::string(why).find("inbox_prefix is \"_INBOX.*\"") != std::string::npos);
    wanted.inbox_prefix = nullptr;
    wanted.spool_bytes_max = 1u << 20;
    CHECK(homeward_open(&wanted, why, sizeof why) == nullptr);
    CHECK(std::string(why).find("spool_bytes_max") != std::string::npos);
}

TEST_CASE("C's stats have refusals by reason, drops, and texts that were not UTF-8") {
    const homeward_options wanted = options();
    homeward_publisher* publisher = homeward_open(&wanted, nullptr, 0);
    REQUIRE(publisher != nullptr);
    const homeward_field fields[] = {{"code", HOMEWARD_TEXT}, {"more", HOMEWARD_JSON}};
    homeward_type* parcel = homeward_define(publisher, "parcel", HOMEWARD_AUDIT, fields, 2);
    REQUIRE(parcel != nullptr);
    const homeward_value good[] = {homeward_text("p1", 2), homeward_json("[1]", 3)};
    const homeward_value bad[] = {homeward_text("p\xff", 2), homeward_absent()};
    const homeward_value bad_json[] = {homeward_absent(), homeward_json("\"\xc3\"", 3)};
    for (const homeward_value* values : {good, bad, bad_json}) {
        CHECK(homeward_emit(publisher, parcel, values, 2) == HOMEWARD_ACCEPTED);
    }
    CHECK(homeward_emit_json(publisher, HOMEWARD_AUDIT, "parcel", 6, "{", 1, 0) ==
          HOMEWARD_INVALID);
    CHECK(homeward_flush(publisher, 5'000, HOMEWARD_LOGGED, nullptr) == 1);
    homeward_close(publisher, 0, nullptr);
    CHECK(homeward_emit(publisher, parcel, good, 2) == HOMEWARD_CLOSED);
    homeward_stats stats{};
    stats.size = sizeof stats;
    REQUIRE(homeward_get_stats(publisher, &stats) == 1);
    CHECK(stats.audit.accepted == 3);
    CHECK(stats.audit_scrubbed == 2);
    CHECK(stats.metric_scrubbed == 0);
    CHECK(stats.audit_refusals.invalid == 1);
    CHECK(stats.audit_refusals.closed == 1);
    CHECK(stats.audit.refused == 2);
    homeward_free(publisher);
}

TEST_CASE(
    "what C's emits refuse by themselves is counted by reason too, and each reason said once") {
    LogText log;
    homeward_options wanted = options();
    wanted.log_context = &log;
    wanted.on_log = [](void* context, const char* line, size_t line_bytes) {
        static_cast<LogText*>(context)->listener()({line, line_bytes});
    };
    homeward_publisher* publisher = homeward_open(&wanted, nullptr, 0);
    REQUIRE(publisher != nullptr);
    const homeward_field field{"code", HOMEWARD_TEXT};
    const char* const required[] = {"code"};
    homeward_type* parcel =
        homeward_define_required(publisher, "parcel", HOMEWARD_METRIC, &field, 1, required, 1);
    REQUIRE(parcel != nullptr);
    const std::string long_text(65'537, 'x');
    const homeward_value absent = homeward_absent();
    const homeward_value number = homeward_integer(1);
    const homeward_value too_long = homeward_text(long_text.data(), long_text.size());
    for (int i = 0; i < 3; ++i) {
        CHECK(homeward_emit(publisher, parcel, &absent, 1) == HOMEWARD_INCOMPLETE);
        CHECK(homeward_emit(publisher, parcel, &number, 1) == HOMEWARD_INVALID);
        CHECK(homeward_emit(publisher, parcel, &number, 2) == HOMEWARD_INVALID);
        CHECK(homeward_emit(publisher, parcel, &too_long, 1) == HOMEWARD_TOO_LARGE);
        CHECK(homeward_emit(publisher, nullptr, &number, 1) == HOMEWARD_INVALID);
        CHECK(homeward_emit_json(publisher, HOMEWARD_METRIC, "parcel", 6, nullptr, 0, 0) ==
              HOMEWARD_INVALID);
        CHECK(homeward_emit_json(publisher, static_cast<homeward_class>(99), "parcel", 6, "{}", 2,
                                 0) == HOMEWARD_INVALID);
        CHECK(homeward_refuse(publisher, HOMEWARD_METRIC, HOMEWARD_TOO_LARGE) ==
              HOMEWARD_TOO_LARGE);
        CHECK(homeward_refuse(publisher, HOMEWARD_AUDIT, HOMEWARD_FULL) == HOMEWARD_INVALID);
        CHECK(homeward_refuse(nullptr, HOMEWARD_AUDIT, HOMEWARD_INVALID) == HOMEWARD_INVALID);
    }
    homeward_stats stats{};
    stats.size = sizeof stats;
    REQUIRE(homeward_get_stats(publisher, &stats) == 1);
    CHECK(stats.metric_refusals.incomplete == 3);
    CHECK(stats.metric_refusals.invalid == 9);
    CHECK(stats.metric_refusals.too_large == 6);
    CHECK(stats.metric.refused == 18);
    CHECK(stats.audit_refusals.invalid == 9);
    CHECK(stats.audit.refused == 9);
    homeward_free(publisher);
    const std::string text = log.text();
    INFO(text);
    for (const char* line : {"metric events are refused: a required field was not set",
                             "metric events are refused: the leader could not read their JSON",
                             "metric events are refused: they are larger than",
                             "audit events are refused: the leader could not read their JSON"}) {
        INFO(line);
        CHECK(text.find(line) != std::string::npos);
        CHECK(text.find(line) == text.rfind(line));
    }
}

TEST_CASE("a C program that gives no on_log is warned on standard error") {
    const TempDir dir;
    const int kept = ::dup(STDERR_FILENO);
    const int file = ::open((dir / "stderr").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ::dup2(file, STDERR_FILENO);
    const homeward_options wanted = options();
    homeward_publisher* publisher = homeward_open(&wanted, nullptr, 0);
    const bool is_warned = wait_until(30s, [&] {
        return read_file(dir / "stderr")
                   .find("homeward: warning: no connection to NATS at 127.0.0.1:1: ") !=
               std::string::npos;
    });
    homeward_close(publisher, 0, nullptr);
    homeward_free(publisher);
    ::dup2(kept, STDERR_FILENO);
    ::close(kept);
    ::close(file);
    CHECK(is_warned);
}

TEST_CASE("C builds objects and arrays value by value, and never half of one") {
    const auto text_of = [](const homeward_builder* builder) {
        const homeward_value value = homeward_built(builder);
        CHECK(value.kind == HOMEWARD_JSON);
        return std::string(value.as.text.bytes, value.as.text.size);
    };
    homeward_builder* array = homeward_array();
    homeward_builder* object = homeward_object();
    REQUIRE((array != nullptr && object != nullptr));
    CHECK(text_of(array) == "[]");
    CHECK(homeward_add(array, nullptr, homeward_integer(-1)) == 1);
    CHECK(homeward_add(array, nullptr, homeward_absent()) == 1);
    CHECK(homeward_add(array, "key", homeward_integer(1)) == 0);
    CHECK(homeward_add(object, "a\"b", homeward_text("x\ny", 3)) == 1);
    CHECK(homeward_add(object, "ok", homeward_boolean(1)) == 1);
    CHECK(homeward_add(object, "half", homeward_real(0.5)) == 1);
    CHECK(homeward_add(object, "at", homeward_timestamp(7)) == 1);
    CHECK(homeward_add(object, "list", homeward_built(array)) == 1);
    CHECK(homeward_add(object, nullptr, homeward_integer(1)) == 0);
    CHECK(homeward_add(object, "none", homeward_text(nullptr, 1)) == 0);
    CHECK(homeward_add(object, "none", homeward_json("", 0)) == 0);
    CHECK(text_of(object) == R"({"a\"b":"x\ny","ok":true,"half":0.5,"at":7,"list":[-1,null]})");
    CHECK(homeward_add(object, "self", homeward_built(object)) == 1);
    CHECK(text_of(object).find(R"("self":{"a\"b":"x\ny",)") != std::string::npos);
    homeward_clear(object);
    CHECK(text_of(object) == "{}");
    CHECK(homeward_add(nullptr, "a", homeward_integer(1)) == 0);
    CHECK(homeward_built(nullptr).kind == HOMEWARD_ABSENT);
    homeward_builder_free(array);
    homeward_builder_free(object);
    homeward_builder_free(nullptr);
}
