#include "tests/support/frame_publisher.hpp"

#include <chrono>
#include <stdexcept>

#include "schemas/nats/subject.hpp"

namespace homeward::testing {
namespace {

/// Microseconds since 1970.
std::string now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

}  // namespace

FramePublisher::FramePublisher(int nats_port, std::string region, std::string app,
                               const std::string& password)
    : time_(now()),
      region_(std::move(region)),
      app_(std::move(app)),
      client_(nats_port, password.empty() ? "" : "app-" + app_, password,
              "_INBOX.homeward." + region_ + "." + app_ + ".frames") {}

std::string FramePublisher::frame(std::uint64_t first, std::uint32_t count, std::uint64_t accepted,
                                  std::uint16_t flags) {
    std::vector<std::string> lines;
    for (std::uint64_t seq = first; seq < first + count; ++seq) {
        lines.push_back(audit_line(std::to_string(seq), time_));
    }
    return frame_of(first, lines, accepted, flags);
}

std::string FramePublisher::frame_of(std::uint64_t first, const std::vector<std::string>& lines,
                                     std::uint64_t accepted, std::uint16_t flags,
                                     std::uint32_t covered) {
    FrameHeader header;
    header.publisher = publisher;
    header.flags = flags;
    header.seq_first = first;
    header.line_count = static_cast<std::uint32_t>(lines.size());
    header.seq_count = header.line_count + covered;
    header.accepted = accepted == 0 ? header.seq_last() : accepted;
    std::string body;
    for (const std::string& line : lines) body += line + "\n";
    std::vector<std::byte> bytes;
    if (!encoder_.encode(header, body, bytes)) throw std::runtime_error("a frame too large");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string FramePublisher::closing_mark(std::uint64_t accepted) {
    FrameHeader header;
    header.publisher = publisher;
    header.flags = kFrameCountOnly | kFrameClosing;
    header.seq_first = accepted + 1;
    header.accepted = accepted;
    std::vector<std::byte> bytes;
    if (!encoder_.encode(header, "", bytes)) throw std::runtime_error("a mark too large");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void FramePublisher::send_as(const std::string& region, const std::string& app,
                             const std::string& frame) {
    client_.publish(frame_subject(EventClass::audit, region, app), frame);
}

std::string audit_line(const std::string& resource, const std::string& time) {
    return R"({"type":"audit","actor":"a","action":"b","resource":")" + resource +
           R"(","outcome":"allowed")" + (time.empty() ? "" : R"(,"time":)" + time) + "}";
}

}  // namespace homeward::testing
