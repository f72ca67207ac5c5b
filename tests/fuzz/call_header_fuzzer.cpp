// Forwarded calls: what is read of a header comes out as it was written, whoever wrote it, and no
// header or subject makes its reader leave its bounds.

#include <string>

#include "publisher/forward/call_wire.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward::forward;
using homeward::fuzz::Bytes;
using homeward::fuzz::require;

namespace {

void check_call(std::string_view text) {
    const auto header = parse_call_header(text);
    if (!header) return;
    require(is_valid_key(header->key) && header->left.count() >= 0);
    const auto again = parse_call_header(write_call_header(*header));
    require(again && again->key == header->key && again->left == header->left &&
            again->deadline_at == header->deadline_at);
}

void check_reply(std::string_view text) {
    const auto answer = parse_reply_header(text);
    if (!answer) return;
    require(answer->code.size() <= kCodeBytesMax && answer->code == clean_code(answer->code));
    const auto again = parse_reply_header(write_reply_header(*answer));
    require(again && again->outcome == answer->outcome && again->code == answer->code &&
            again->session_token == answer->session_token);
}

void check_subject(std::string_view text) {
    const auto parts = parse_call_subject(text);
    if (parts) require(call_subject(parts->region, parts->app, parts->operation) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes input(data, size);
    const std::string text(input.take_text(size));
    check_call(text);
    check_reply(text);
    check_subject(text);
    check_call("1 " + text);
    check_reply("1 ok 1 " + text);
    check_subject("homeward.call." + text);
    return 0;
}
