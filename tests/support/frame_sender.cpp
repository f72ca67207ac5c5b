#include "tests/support/frame_sender.hpp"

#include <stdexcept>

#include "schemas/subject.hpp"

namespace homeward::testing {

FrameSender::FrameSender(int nats_port, std::string region, std::string app)
    : region_(std::move(region)), app_(std::move(app)), client_(nats_port) {}

std::string FrameSender::frame(std::uint64_t first, std::uint32_t count, std::uint64_t accepted,
                               std::uint16_t flags) {
    FrameHeader header;
    header.publisher = publisher;
    header.flags = flags;
    header.seq_first = first;
    header.seq_count = count;
    header.line_count = count;
    header.accepted = accepted == 0 ? first + count - 1 : accepted;
    std::string body;
    for (std::uint64_t seq = first; seq < first + count; ++seq) {
        body += audit_line(std::to_string(seq)) + "\n";
    }
    std::vector<std::byte> bytes;
    if (!encoder_.encode(header, body, bytes)) throw std::runtime_error("a frame too large");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string FrameSender::closing_mark(std::uint64_t accepted) {
    FrameHeader header;
    header.publisher = publisher;
    header.flags = kFrameCountOnly | kFrameClosing;
    header.seq_first = accepted + 1;
    header.accepted = accepted;
    std::vector<std::byte> bytes;
    if (!encoder_.encode(header, "", bytes)) throw std::runtime_error("a mark too large");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void FrameSender::send_as(const std::string& region, const std::string& app,
                          const std::string& frame) {
    client_.publish(frame_subject(EventClass::audit, region, app), frame);
}

std::string audit_line(const std::string& resource) {
    return R"({"type":"audit","actor":"a","action":"b","resource":")" + resource +
           R"(","outcome":"allowed"})";
}

}  // namespace homeward::testing
