#include "schemas/wire/frame.hpp"

#include <cstring>

#include "schemas/wire/crc32c.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

FrameHeader sample_header() {
    FrameHeader header;
    header.event_class = EventClass::audit;
    header.publisher = PublisherId::random();
    header.seq_first = 101;
    header.seq_count = 3;
    header.line_count = 3;
    header.accepted = 110;
    header.cut_time_us = 1'700'000'000'000'000;
    return header;
}

std::vector<std::byte> sample_frame(const FrameHeader& header, std::string_view body) {
    FrameEncoder encoder;
    std::vector<std::byte> frame;
    REQUIRE(encoder.encode(header, body, frame));
    return frame;
}

const std::string kBody = "{\"type\":\"a\"}\n{\"type\":\"b\"}\n{\"type\":\"c\"}\n";

}  // namespace

TEST_CASE("a frame is decoded to exactly what was encoded") {
    FrameHeader header = sample_header();
    const auto frame = sample_frame(header, kBody);
    FrameDecoder decoder;
    FrameHeader decoded;
    std::string body;
    REQUIRE(decoder.decode(frame, decoded, body) == FrameError::none);
    header.body_bytes = static_cast<std::uint32_t>(kBody.size());
    CHECK(decoded == header);
    CHECK(body == kBody);
}

TEST_CASE("a frame cut short anywhere is refused") {
    const auto frame = sample_frame(sample_header(), kBody);
    FrameDecoder decoder;
    FrameHeader header;
    std::string body;
    for (std::size_t size = 0; size < frame.size(); ++size) {
        INFO(size);
        CHECK(decoder.decode(std::span(frame).first(size), header, body) != FrameError::none);
    }
}

TEST_CASE("a frame with any one bit flipped is refused") {
    auto frame = sample_frame(sample_header(), kBody);
    FrameDecoder decoder;
    FrameHeader header;
    std::string body;
    for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
        const auto mask = static_cast<std::byte>(1u << (bit % 8));
        frame[bit / 8] ^= mask;
        INFO(bit);
        CHECK(decoder.decode(frame, header, body) != FrameError::none);
        frame[bit / 8] ^= mask;
    }
}

TEST_CASE("a frame that claims four gigabytes allocates nothing and is refused") {
    auto frame = sample_frame(sample_header(), kBody);
    const std::uint32_t huge = UINT32_MAX;
    std::memcpy(frame.data() + 56, &huge, sizeof huge);
    FrameHeader header;
    CHECK(FrameDecoder::decode_header(frame, header) == FrameError::too_large);
}

TEST_CASE("a body that expands to more than its header says is refused") {
    FrameHeader header = sample_header();
    auto frame = sample_frame(header, std::string(1u << 20, 'x'));
    const std::uint32_t less = 50'000;
    std::memcpy(frame.data() + 56, &less, sizeof less);
    const std::uint32_t sum =
        crc32c(std::span(frame).subspan(kFrameHeaderBytes), crc32c(std::span(frame).first(64)));
    std::memcpy(frame.data() + 64, &sum, sizeof sum);
    FrameDecoder decoder;
    std::string body;
    const FrameError error = decoder.decode(frame, header, body);
    CHECK((error == FrameError::bad_body || error == FrameError::too_large));
}

TEST_CASE("a body of the same over and over is decoded, however far it was compressed") {
    const std::string line = "{\"type\":\"a\",\"time\":1700000000000000}\n";
    std::string lines;
    while (lines.size() < (256u << 10)) lines += line;
    const std::string letters = "{\"type\":\"a\",\"b\":\"" + std::string(200u << 10, 'b') + "\"}\n";
    FrameDecoder decoder;
    for (const std::string& said : {lines, letters, std::string(kBodyBytesMax, 'x')}) {
        INFO(said.substr(0, 40) << "… of " << said.size() << " bytes");
        const auto frame = sample_frame(sample_header(), said);
        FrameHeader header;
        std::string body;
        CHECK(decoder.decode(frame, header, body) == FrameError::none);
        CHECK((body == said));  // not shown: it is long
        CHECK(frame.size() < said.size() / 50);
    }
}

TEST_CASE("what is no frame at all is told apart from a damaged one") {
    FrameHeader header;
    const std::string json = "{\"type\":\"audit\"}";
    CHECK(FrameDecoder::decode_header(std::as_bytes(std::span<const char>(json)), header) ==
          FrameError::bad_magic);
    CHECK(explain(FrameError::bad_magic) != explain(FrameError::bad_checksum));
}

TEST_CASE("a count-only frame has no body and says how many were accepted") {
    FrameHeader header = sample_header();
    header.flags = kFrameCountOnly | kFrameClosing;
    header.seq_count = header.line_count = 0;
    const auto frame = sample_frame(header, "");
    CHECK(frame.size() == kFrameHeaderBytes);
    FrameHeader decoded;
    REQUIRE(FrameDecoder::decode_header(frame, decoded) == FrameError::none);
    CHECK(decoded.accepted == 110);
    CHECK((decoded.flags & kFrameClosing) != 0);
}

TEST_CASE("crc32c gives the values of RFC 3720") {
    const std::vector<std::byte> zeros(32, std::byte{0});
    const std::vector<std::byte> ones(32, std::byte{0xff});
    CHECK(crc32c(zeros) == 0x8a9136aau);
    CHECK(crc32c(ones) == 0x62a8ab43u);
    const auto whole = std::span(zeros);
    CHECK(crc32c(whole.subspan(5), crc32c(whole.first(5))) == crc32c(zeros));
}
