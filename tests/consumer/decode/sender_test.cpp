// What emit_json() takes, the consumer reads: one judge on each side, asked about the same texts.

#include <cstdio>

#include "schemas/text/event_text.hpp"
#include "schemas/text/json_text.hpp"
#include "tests/consumer/decode/json_texts.hpp"
#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;

TEST_CASE("a text that the sender takes is JSON to the consumer, and the other way round") {
    SampleDecoder decoder;
    std::size_t taken = 0, refused = 0;
    const auto compare = [&](const std::string& text) {
        if (text.find('\n') != std::string::npos) return;  // the sender makes one line of it
        const EventText sent = read_event_text(text);
        // The sender puts its own type in front; here the text has it.
        const std::string reason = decoder.refusal(text);
        if (reason == "unknown event type") return;  // the sender does not know the types
        INFO(text.substr(0, 200) << "\nsender: " << explain(sent) << "\nconsumer: " << reason);
        const bool is_unreadable = reason.find("not valid JSON") != std::string::npos ||
                                   reason.find("duplicate key") != std::string::npos ||
                                   reason == "not a JSON object" || reason.find("\"type\"") == 0 ||
                                   reason.find("\"time\"") == 0 ||
                                   (reason.find("type \"") == 0 && text[0] != '{');
        CHECK((sent.fault != EventFault::none) == is_unreadable);
        // A reason is kept as text, which takes UTF-8 without NUL only.
        std::string json;
        CHECK(append_json_string(json, reason + explain(sent)) == 0);
        CHECK((reason + explain(sent)).find('\0') == std::string::npos);
        ++(sent.fault == EventFault::none ? taken : refused);
    };
    for (const JsonText& document : json_documents()) compare(document.text);
    for (const JsonText& value : json_values()) {
        compare(R"({"type":"sample","a":)" + value.text + "}");
        compare(R"({"type":"sample","more":[)" + value.text + R"(],"b":1})");
    }
    std::printf("%zu texts taken, %zu refused\n", taken, refused);
    CHECK(taken > 300);
    CHECK(refused > 800);
}
