// Frames: what decodes stays within the caps and encodes back to the same; what was encoded decodes
// to the same; what is neither is refused, whatever its bytes. The checksum is put right first, or
// no damage would ever get past it.

#include "schemas/crc32c.hpp"
#include "schemas/frame.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using fuzz::require;

namespace {

constexpr std::size_t kChecksumOffset = 64;

void put_right(std::vector<std::byte>& frame) {
    if (frame.size() < kFrameHeaderBytes) return;
    const auto bytes = std::span<const std::byte>(frame);
    const std::uint32_t checksum =
        crc32c(bytes.subspan(kFrameHeaderBytes), crc32c(bytes.first(kChecksumOffset)));
    std::memcpy(frame.data() + kChecksumOffset, &checksum, sizeof checksum);
}

void check_decoding(std::span<const std::byte> frame) {
    FrameDecoder decoder;
    FrameHeader header;
    std::string body;
    require(claimed_size(frame).body_bytes <= kBodyBytesMax);
    if (decoder.decode(frame, header, body) != FrameError::none) return;
    require(frame.size() <= kFrameBytesMax && body.size() <= kBodyBytesMax);
    require(body.size() == header.body_bytes && header.line_count <= kFrameLinesMax);
    require(header.line_count <= header.seq_count && header.seq_first > 0);
    FrameEncoder encoder;
    std::vector<std::byte> again;
    require(encoder.encode(header, body, again));
    FrameHeader header_again;
    std::string body_again;
    require(decoder.decode(again, header_again, body_again) == FrameError::none);
    require(header_again == header && body_again == body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes input(data, size);
    std::vector<std::byte> frame;
    if (input.take<std::uint8_t>() % 2 == 0) {
        const auto raw = input.take_span(input.size());
        frame.assign(raw.begin(), raw.end());
        check_decoding(frame);
    } else {
        FrameHeader header;
        header.publisher.bytes[0] = input.take<std::uint8_t>();
        header.seq_first = 1 + input.take<std::uint32_t>();
        header.seq_count = header.line_count = 1 + input.take<std::uint8_t>();
        header.accepted = header.seq_last() + input.take<std::uint8_t>();
        std::string body(input.take_text(input.take<std::uint16_t>()));
        body += '\n';
        FrameEncoder encoder;
        require(encoder.encode(header, body, frame));
        check_decoding(frame);
        fuzz::damage(frame, input);
    }
    put_right(frame);
    check_decoding(frame);
    return 0;
}
