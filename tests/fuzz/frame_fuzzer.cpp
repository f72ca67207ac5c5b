// Frames: what decodes stays within the caps and encodes back to the same; what was encoded decodes
// to the same; what is neither is refused, whatever its bytes. The checksum is put right first, or
// no damage would ever get past it.

#include "schemas/wire/crc32c.hpp"
#include "schemas/wire/envelope.hpp"
#include "schemas/wire/frame.hpp"
#include "schemas/wire/frame_signature.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using fuzz::require;

namespace {

constexpr std::size_t kChecksumOffset = 64;

void put_right(std::vector<std::byte>& frame) {
    if (frame.size() < kFrameHeaderBytes) return;
    if (frame[4] == std::byte{envelope::kVersion}) return envelope::seal(frame);
    const auto bytes = std::span<const std::byte>(frame);
    const std::uint32_t checksum =
        crc32c(bytes.subspan(kFrameHeaderBytes), crc32c(bytes.first(kChecksumOffset)));
    std::memcpy(frame.data() + kChecksumOffset, &checksum, sizeof checksum);
}

bool encode(const FrameHeader& header, const FrameContent& content, std::vector<std::byte>& frame) {
    FrameEncoder encoder;
    return header.version == envelope::kVersion ? encoder.encode(header, content, nullptr, frame)
                                                : encoder.encode(header, content.body, frame);
}

void check_tombstones(const FrameHeader& header, const FrameContent& content) {
    std::uint64_t end = 0;
    std::uint64_t lost = 0;
    for (const FrameTombstone& one : content.tombstones) {
        require(one.offset >= end && one.count > 0);
        end = std::uint64_t{one.offset} + one.count;
        lost += one.count;
    }
    require(end <= header.seq_count);
    if (header.version == envelope::kVersion) {
        require(lost + header.line_count == header.seq_count);
    }
}

void check_decoding(std::span<const std::byte> frame) {
    FrameDecoder decoder;
    FrameHeader header;
    FrameContent content;
    require(claimed_size(frame).body_bytes <= kBodyBytesMax);
    if (decoder.decode(frame, header, content) != FrameError::none) return;
    const std::string& body = content.body;
    require(frame.size() <= kFrameBytesMax && body.size() <= kBodyBytesMax);
    require(body.size() == header.body_bytes && header.line_count <= kFrameLinesMax);
    const FrameSize claimed = claimed_size(frame);
    require(body.empty() || claimed.lines == header.line_count);
    require(claimed.body_bytes >= body.size() && claimed.body_bytes >= content.values_bytes);
    require(header.line_count <= header.seq_count && header.seq_first > 0);
    // Nobody here has a key.
    require(check_origin(frame) != FrameOrigin::verified);
    check_tombstones(header, content);
    std::vector<std::byte> again;
    require(encode(header, content, again));
    FrameHeader header_again;
    FrameContent content_again;
    require(decoder.decode(again, header_again, content_again) == FrameError::none);
    require(header_again == header && content_again == content);
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
        header.version = input.take<std::uint8_t>() % 2 == 0 ? 1 : envelope::kVersion;
        FrameContent content;
        if (header.version == envelope::kVersion) {
            const std::uint32_t lost = input.take<std::uint8_t>();
            const std::uint32_t at = input.take<std::uint8_t>() % (header.line_count + 1);
            if (lost > 0) content.tombstones.push_back({at, lost, "dropped"});
            header.seq_count += lost;
            header.accepted += lost;
        }
        content.body = input.take_text(input.take<std::uint16_t>());
        content.body += '\n';
        require(encode(header, content, frame));
        check_decoding(frame);
        fuzz::damage(frame, input);
    }
    put_right(frame);
    check_decoding(frame);
    return 0;
}
