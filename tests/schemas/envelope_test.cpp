// Frame version 2. Adversarial frames are made from whole ones, with the checksum put right again,
// so that each check is met on its own.

#include "schemas/wire/envelope.hpp"

#include <algorithm>
#include <cstring>

#include "schemas/wire/byte_order.hpp"
#include "schemas/wire/frame_signature.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

const std::string kBody = "{\"type\":\"a\"}\n{\"type\":\"b\"}\n{\"type\":\"c\"}\n";

/// seqs 101 to 110: lost, event, lost, lost, lost, event, event, lost, lost, lost
FrameContent sample_content() {
    return {kBody, {{0, 1, "damaged"}, {2, 3, "dropped"}, {7, 3, "machine_restart"}}};
}

FrameHeader sample_header() {
    FrameHeader header;
    header.version = envelope::kVersion;
    header.publisher = PublisherId::random();
    header.publisher.bytes[0] = 0;  // never self-certifying
    header.seq_first = 101;
    header.seq_count = 10;
    header.line_count = 3;
    header.accepted = 120;
    header.cut_time_us = 1'700'000'000'000'000;
    header.body_bytes = static_cast<std::uint32_t>(kBody.size());
    return header;
}

std::vector<std::byte> encode(const FrameHeader& header, const FrameContent& content,
                              const SigningKey* key = nullptr) {
    std::vector<std::byte> frame;
    REQUIRE(FrameEncoder().encode(header, content, key, frame));
    return frame;
}

FrameError decode(std::span<const std::byte> frame) {
    FrameHeader header;
    FrameContent content;
    return FrameDecoder().decode(frame, header, content);
}

/// What becomes of a whole frame when `change` has been at it.
template <typename Change>
FrameError decode_changed(const Change& change) {
    auto frame = encode(sample_header(), sample_content());
    change(frame);
    envelope::seal(frame);
    return decode(frame);
}

constexpr std::size_t kBodySection = envelope::kFixedBytes;
constexpr std::size_t kBodyContent = kBodySection + envelope::kSectionPrefixBytes;
constexpr std::size_t kTombstoneSection = kBodyContent + 16;
constexpr std::size_t kTombstoneContent = kTombstoneSection + envelope::kSectionPrefixBytes;

template <typename T>
auto put(std::size_t offset, T value) {
    return [=](std::vector<std::byte>& frame) { store(frame.data(), offset, value); };
}

struct SignedFrame {
    SigningKey key = SigningKey::generate();
    FrameHeader header = sample_header();
    std::vector<std::byte> frame;

    SignedFrame() {
        header.publisher = key.publisher();
        frame = encode(header, sample_content(), &key);
    }
};

}  // namespace

TEST_CASE("a frame of version 2 is decoded to exactly what was encoded") {
    const FrameHeader header = sample_header();
    const FrameContent content = sample_content();
    const auto frame = encode(header, content);
    FrameHeader decoded;
    FrameContent found;
    REQUIRE(FrameDecoder().decode(frame, decoded, found) == FrameError::none);
    CHECK(decoded == header);
    CHECK(found == content);
    const FrameSize size = claimed_size(frame);
    CHECK(size.lines == header.line_count);
    CHECK(size.body_bytes == header.body_bytes);
}

TEST_CASE("the claimed size is what is decompressed, wherever its section stands") {
    const auto claimed = [](std::uint32_t values_bytes) {
        FrameContent content{kBody, {}};
        content.body_kind = BodyKind::columns;
        content.values_bytes = values_bytes;
        FrameHeader header = sample_header();
        header.seq_count = header.line_count;
        return claimed_size(encode(header, content)).body_bytes;
    };
    CHECK(claimed(1) == kBody.size());
    CHECK(claimed(4u << 20) == 4u << 20);

    const FrameHeader header = sample_header();
    auto frame = encode(header, sample_content());
    const auto section = [&](std::size_t at) {
        return frame.begin() + static_cast<std::ptrdiff_t>(at);
    };
    std::rotate(section(kBodySection), section(kTombstoneSection),
                section(load<std::uint32_t>(frame, 12)));
    envelope::seal(frame);
    REQUIRE(decode(frame) == FrameError::none);
    CHECK(claimed_size(frame).lines == header.line_count);
    CHECK(claimed_size(frame).body_bytes == header.body_bytes);
    // What is refused is never decompressed.
    frame.pop_back();
    CHECK(claimed_size(frame).lines == 1);
    CHECK(claimed_size(frame).body_bytes == frame.size());
}

TEST_CASE("a frame of version 2 may hold tombstones alone, or only a count") {
    FrameHeader header = sample_header();
    header.line_count = header.body_bytes = 0;
    CHECK(decode(encode(header, {"", {{0, 10, "dropped"}}})) == FrameError::none);
    header.seq_count = 0;
    header.flags = kFrameCountOnly | kFrameClosing;
    CHECK(decode(encode(header, {})) == FrameError::none);
}

TEST_CASE("a frame of version 2 cut short anywhere is refused") {
    const SignedFrame whole;
    for (std::size_t size = 0; size < whole.frame.size(); ++size) {
        INFO(size);
        CHECK(decode(std::span(whole.frame).first(size)) != FrameError::none);
    }
}

TEST_CASE("a frame of version 2 with any one bit flipped is refused") {
    SignedFrame whole;
    auto& frame = whole.frame;
    for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
        const auto mask = static_cast<std::byte>(1u << (bit % 8));
        frame[bit / 8] ^= mask;
        INFO(bit);
        CHECK(decode(frame) != FrameError::none);
        frame[bit / 8] ^= mask;
    }
}

TEST_CASE("a frame whose sections lie is refused") {
    CHECK(decode_changed([](auto&) {}) == FrameError::none);
    SECTION("about their lengths") {
        for (const std::uint32_t bytes : {0u, 11u, 13u, 1u << 16, 0xffffffffu, 0xfffffff8u}) {
            INFO(bytes);
            CHECK(decode_changed(put(kBodySection + 4, bytes)) == FrameError::bad_field);
        }
        CHECK(decode_changed(put(kTombstoneSection + 4, std::uint32_t{1})) ==
              FrameError::bad_field);
    }
    SECTION("about the header's length") {
        CHECK(decode_changed(put(12, std::uint32_t{56})) == FrameError::bad_field);
        CHECK(decode_changed(put(12, std::uint32_t{65})) == FrameError::bad_field);
        CHECK(decode_changed(put(12, std::uint32_t{(64u << 10) + 8})) == FrameError::too_large);
        CHECK(decode_changed(put(12, std::uint32_t{64})) == FrameError::bad_length);
        CHECK(decode_changed(put(44, 0xffffffffu)) == FrameError::too_large);
    }
    SECTION("about how many events there are") {
        CHECK(decode_changed(put(kBodyContent + 4, std::uint32_t{0})) == FrameError::bad_field);
        CHECK(decode_changed(put(kBodyContent + 4, std::uint32_t{4})) == FrameError::bad_field);
        CHECK(decode_changed(put(kBodyContent + 4, std::uint32_t{1'000'000})) ==
              FrameError::too_large);
    }
    SECTION("about the size of the body") {
        CHECK(decode_changed(put(kBodyContent + 8, std::uint32_t{1})) == FrameError::bad_body);
        CHECK(decode_changed(put(kBodyContent + 8, std::uint32_t{5u << 20})) ==
              FrameError::too_large);
        CHECK(decode_changed(put(kBodyContent + 8, std::uint32_t{0})) == FrameError::bad_field);
    }
    SECTION("about which seqs are lost") {
        const std::size_t second = kTombstoneContent + 9 + 7;
        CHECK(decode_changed(put(second, std::uint32_t{0})) == FrameError::bad_field);
        CHECK(decode_changed(put(second, std::uint32_t{5})) == FrameError::bad_field);
        CHECK(decode_changed(put(second + 4, std::uint32_t{0})) == FrameError::bad_field);
        CHECK(decode_changed(put(second + 4, 0xffffffffu)) == FrameError::bad_field);
        CHECK(decode_changed(put(second + 8, std::uint8_t{0})) == FrameError::bad_field);
        CHECK(decode_changed(put(second + 8, std::uint8_t{255})) == FrameError::bad_field);
        CHECK(decode_changed(put(second + 9, 'D')) == FrameError::bad_field);
    }
}

TEST_CASE("seqs that wrap, or that a frame has no right to, are refused") {
    CHECK(decode_changed(put(32, std::uint64_t{0})) == FrameError::bad_field);
    CHECK(decode_changed(put(32, std::uint64_t{INT64_MAX} - 5)) == FrameError::bad_field);
    CHECK(decode_changed(put(40, std::uint32_t{11})) == FrameError::bad_field);
    CHECK(decode_changed(put(48, std::uint64_t{109})) == FrameError::bad_field);
    CHECK(decode_changed(put(48, UINT64_MAX)) == FrameError::bad_field);
    CHECK(decode_changed(put(5, std::uint8_t{3})) == FrameError::bad_field);
    CHECK(decode_changed(put(6, std::uint16_t{8})) == FrameError::bad_field);
}

TEST_CASE("what a later version adds is skipped where it may be, else left to that version") {
    const auto set_kind = [](std::uint16_t kind, std::uint16_t bits) {
        return [=](std::vector<std::byte>& frame) {
            // An unknown section instead of the tombstones; then only the sum can be wrong.
            store(frame.data(), kTombstoneSection, kind);
            store(frame.data(), kTombstoneSection + 2, bits);
            store(frame.data(), 40, std::uint32_t{3});
        };
    };
    CHECK(decode_changed(set_kind(77, 0)) == FrameError::none);
    CHECK(decode_changed(set_kind(77, 1)) == FrameError::bad_version);
    CHECK(decode_changed(put(kBodyContent, std::uint8_t{3})) == FrameError::bad_version);
    CHECK(decode_changed(put(kBodyContent + 1, std::uint8_t{9})) == FrameError::bad_version);
    CHECK(decode_changed(put(4, std::uint8_t{3})) == FrameError::bad_version);
}

TEST_CASE("2,000 tombstones of the longest reason fit into a frame") {
    FrameHeader header = sample_header();
    header.line_count = header.body_bytes = 0;
    header.seq_count = 2'000;
    header.accepted = 3'000;
    FrameContent content;
    for (std::uint32_t i = 0; i < 2'000; ++i) {
        content.tombstones.push_back({i, 1, std::string(envelope::kReasonBytesMax - 9, 'x')});
    }
    CHECK(decode(encode(header, content)) == FrameError::none);
    std::vector<std::byte> frame;
    header.seq_count = 60'000;
    header.accepted = 70'000;
    for (std::uint32_t i = 2'000; i < 60'000; ++i) content.tombstones.push_back({i, 1, "x"});
    CHECK_FALSE(FrameEncoder().encode(header, content, nullptr, frame));
}

TEST_CASE("a signed frame comes from whom its publisher id names") {
    const SignedFrame whole;
    CHECK(whole.header.publisher.is_self_certifying());
    CHECK(decode(whole.frame) == FrameError::none);
    CHECK(check_origin(whole.frame) == FrameOrigin::verified);
    const auto seed = whole.key.seed();
    const auto same = SigningKey::from_seed(seed);
    REQUIRE(same.has_value());
    CHECK(same->publisher() == whole.header.publisher);
    CHECK(encode(whole.header, sample_content(), &*same) == whole.frame);
    CHECK_FALSE(SigningKey::from_seed(std::span(seed).first(31)).has_value());
}

TEST_CASE("an id that names no key needs no signature") {
    CHECK(check_origin(encode(sample_header(), sample_content())) == FrameOrigin::unclaimed);
}

TEST_CASE("nobody without the key sends frames of a self-certifying publisher") {
    SignedFrame whole;
    SECTION("not by leaving the signature out, in either version") {
        CHECK(check_origin(encode(whole.header, sample_content())) == FrameOrigin::unsigned_frame);
        FrameHeader old = whole.header;
        old.version = 1;
        old.seq_count = old.line_count;
        std::vector<std::byte> frame;
        REQUIRE(FrameEncoder().encode(old, kBody, frame));
        CHECK(check_origin(frame) == FrameOrigin::unsigned_frame);
    }
    SECTION("not by a key of their own") {
        const SigningKey other = SigningKey::generate();
        FrameHeader theirs = whole.header;
        theirs.publisher = other.publisher();
        auto frame = encode(theirs, sample_content(), &other);
        store(frame.data(), 16, whole.header.publisher.bytes);
        other.sign(frame);
        CHECK(check_origin(frame) == FrameOrigin::foreign_key);
    }
    SECTION("not by changing a byte that the signature covers") {
        std::size_t forged = 0;
        std::size_t other_refusals = 0;
        for (std::size_t at = 5; at < whole.frame.size(); ++at) {
            auto frame = whole.frame;
            frame[at] ^= std::byte{1};
            envelope::seal(frame);
            FrameHeader header;
            if (FrameDecoder::decode_header(frame, header) != FrameError::none) {
                ++other_refusals;
                continue;
            }
            INFO(at);
            const bool is_checksum = at >= 8 && at < 12;
            const FrameOrigin origin = check_origin(frame);
            if (is_checksum) {
                CHECK(origin == FrameOrigin::verified);
                continue;
            }
            CHECK((origin == FrameOrigin::forged || origin == FrameOrigin::foreign_key));
            ++forged;
        }
        CHECK(forged > 150);  // key, signature, ids, counts, times and the whole body
        CHECK(other_refusals > 10);
    }
    SECTION("not by the header of one frame and the body of another") {
        FrameContent content = sample_content();
        std::swap(content.body[9], content.body[22]);
        auto frame = encode(whole.header, content, &whole.key);
        REQUIRE(frame.size() == whole.frame.size());
        const auto body = std::span(whole.frame).subspan(load<std::uint32_t>(whole.frame, 12));
        std::memcpy(frame.data() + frame.size() - body.size(), body.data(), body.size());
        envelope::seal(frame);
        CHECK(check_origin(frame) == FrameOrigin::forged);
    }
}
