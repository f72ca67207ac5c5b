// Bodies of columns: what goes in as records comes out as the same events that lines would have,
// each frame by itself; and no body, however it lies, costs more than its caps.

#include <algorithm>

#include "schemas/columns/decoder.hpp"
#include "schemas/columns/encoder.hpp"
#include "schemas/columns/event_line.hpp"
#include "schemas/columns/varint.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_records.hpp"

using namespace homeward;
using namespace homeward::testing;

namespace {

std::string line_of(const std::vector<std::byte>& record, const FindDescriptor& find) {
    std::string line;
    REQUIRE(append_record_json(record, find, line) == RecordError::none);
    return line;
}

FrameContent content_of(columns::Encoder& encoder) {
    FrameContent content;
    encoder.write(content);
    return content;
}

/// Good events, and what their lines take.
struct Sample {
    FrameContent content;
    std::uint32_t events = 0;
    std::size_t json_bytes = 0;
};
Sample sample_of(std::uint64_t seed, std::uint32_t events) {
    RandomRecords records(seed);
    columns::Encoder encoder;
    Sample sample;
    for (std::uint32_t i = 0; i < events; ++i) {
        const auto record = records.next_good(records.types()[i % 5 == 0 ? 2 : 0]);
        REQUIRE(encoder.add(record, records.find(), nullptr) == RecordError::none);
        sample.json_bytes += line_of(record, records.find()).size() + 1;
    }
    sample.content = content_of(encoder);
    sample.events = events;
    return sample;
}

bool is_decoded(const std::string& body, const std::string& types, std::uint32_t events) {
    columns::Decoder decoder;
    return decoder.decode(body, {types, events, columns::kValuesBytesMax});
}

void store_u32(std::string& body, std::size_t at, std::uint32_t value) {
    std::memcpy(body.data() + at, &value, sizeof value);
}

}  // namespace

TEST_CASE("columns hold the same events as lines, in the same order") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        INFO(seed);
        RandomRecords records(seed);
        columns::Encoder encoder;
        // Its memory is used again by every frame.
        for (int frame = 0; frame < 3; ++frame) {
            std::string expected;
            const std::size_t count = 1 + seed * 37 % 900;
            for (std::size_t i = 0; i < count && !encoder.is_full(); ++i) {
                const auto record = records.next();
                std::size_t replaced = 0, replaced_in_line = 0;
                REQUIRE(encoder.add(record, records.find(), &replaced) == RecordError::none);
                append_record_json(record, records.find(), expected, &replaced_in_line);
                expected += '\n';
                CHECK(replaced == replaced_in_line);
            }
            FrameContent content = content_of(encoder);
            REQUIRE(columns::to_lines(content, encoder.events()));
            CHECK(content.body == expected);
            CHECK(content.body_kind == BodyKind::json_lines);
            encoder.clear();
        }
    }
}

TEST_CASE("a record cut short anywhere adds nothing") {
    RandomRecords records(7);
    const auto record = records.next_good(records.types()[0]);
    for (std::size_t size = 0; size < record.size(); ++size) {
        columns::Encoder encoder;
        INFO(size);
        CHECK(encoder.add(std::span(record).first(size), records.find(), nullptr) ==
              RecordError::cut_short);
        CHECK(encoder.events() == 0);
        CHECK(encoder.values_bytes() == 0);
    }
}

TEST_CASE("what the encoder says of its size in JSON is about what lines take") {
    const Sample sample = sample_of(3, 500);
    RandomRecords records(3);
    columns::Encoder encoder;
    for (std::uint32_t i = 0; i < 500; ++i) {
        encoder.add(records.next_good(records.types()[i % 5 == 0 ? 2 : 0]), records.find(),
                    nullptr);
    }
    CHECK(encoder.json_bytes() > sample.json_bytes * 9 / 10);
    CHECK(encoder.json_bytes() < sample.json_bytes * 11 / 10);
}

TEST_CASE("a damaged record of emit_json() costs no other event") {
    RandomRecords records(9);
    const auto good = records.next_good(records.types()[0]);
    // Its type's name is longer than the record.
    std::vector<std::byte> damaged(14);
    damaged[12] = std::byte{200};
    for (const bool comes_first : {true, false}) {
        columns::Encoder encoder;
        if (!comes_first) encoder.add(good, records.find(), nullptr);
        CHECK(encoder.add(damaged, records.find(), nullptr) == RecordError::cut_short);
        encoder.add(good, records.find(), nullptr);
        FrameContent content = content_of(encoder);
        REQUIRE(columns::to_lines(content, encoder.events()));
        CHECK(content.body.find(line_of(good, records.find())) != std::string::npos);
    }
}

TEST_CASE("definitions are at most 2% of a full frame, and columns smaller than lines") {
    constexpr std::uint32_t kEventsOfFullFrame = 400;
    const Sample sample = sample_of(5, kEventsOfFullFrame);
    CHECK(sample.content.body.size() * 100 < sample.json_bytes * 40);
    FrameHeader header;
    header.publisher = PublisherId::random();
    header.seq_count = header.line_count = sample.events;
    header.accepted = sample.events;
    std::vector<std::byte> frame;
    REQUIRE(FrameEncoder().encode(header, sample.content, nullptr, frame));
    CHECK(sample.content.types.size() * 50 <= sample.content.body.size());
    // Alone, without anything that was decoded before.
    FrameContent content;
    FrameHeader found;
    REQUIRE(FrameDecoder().decode(frame, found, content) == FrameError::none);
    CHECK(content == sample.content);
    CHECK(columns::to_lines(content, found.line_count));
}

TEST_CASE("a body of columns that was changed anywhere is refused or read, never more") {
    const Sample sample = sample_of(11, 60);
    columns::Decoder decoder;
    std::size_t refused = 0;
    for (std::size_t at = 0; at < sample.content.body.size(); ++at) {
        for (const int change : {0x01, 0x80, 0xff}) {
            std::string body = sample.content.body;
            body[at] = static_cast<char>(body[at] ^ change);
            const columns::Decoder::Frame frame{sample.content.types, sample.events,
                                                sample.content.values_bytes};
            refused += decoder.decode(body, frame) ? 0 : 1;
            std::string types = sample.content.types;
            if (at >= types.size()) continue;
            types[at] = static_cast<char>(types[at] ^ change);
            decoder.decode(sample.content.body,
                           {types, sample.events, sample.content.values_bytes});
        }
    }
    CHECK(refused > 0);
    for (std::size_t size = 0; size < sample.content.body.size(); ++size) {
        INFO(size);
        CHECK_FALSE(
            is_decoded(sample.content.body.substr(0, size), sample.content.types, sample.events));
    }
    CHECK_FALSE(is_decoded(sample.content.body + "x", sample.content.types, sample.events));
}

TEST_CASE("counts that lie are refused") {
    const Sample sample = sample_of(13, 20);
    const std::string& types = sample.content.types;
    CHECK(is_decoded(sample.content.body, types, 20));
    CHECK_FALSE(is_decoded(sample.content.body, types, 19));
    CHECK_FALSE(is_decoded(sample.content.body, types, 21));
    CHECK_FALSE(is_decoded(sample.content.body, "", 20));
    CHECK_FALSE(is_decoded("", types, 20));
    constexpr std::size_t kFirstBlock = columns::kBodyPrefixBytes + 20;
    for (const std::uint32_t lie : {0u, 1u, 19u, 21u, 65'536u, UINT32_MAX}) {
        INFO(lie);
        std::string body = sample.content.body;
        store_u32(body, kFirstBlock + 4, lie);
        CHECK_FALSE(is_decoded(body, types, 20));
        body = sample.content.body;
        store_u32(body, kFirstBlock + 8, lie);
        CHECK_FALSE(is_decoded(body, types, 20));
    }
    // Values of which the header announces less.
    columns::Decoder decoder;
    CHECK(decoder.decode(sample.content.body, {types, 20, sample.content.values_bytes}));
    CHECK_FALSE(decoder.decode(sample.content.body, {types, 20, sample.content.values_bytes - 1}));
    std::string none(4, '\0');
    CHECK_FALSE(is_decoded(none, types, 0));
}

TEST_CASE("a dictionary that makes much of little is refused") {
    OwnedDescriptor type;
    type.name = "bomb";
    type.fields = {{"text", RecordKind::text}};
    std::string types;
    const auto definition = [&] {
        types += static_cast<char>(type.name.size());
        types += type.name;
        types += std::string("\1\4\4text", 7);
    };
    definition();
    const auto body_of = [](std::uint32_t events, std::size_t entry_bytes) {
        std::string content(1, static_cast<char>(columns::Encoding::deltas));
        content.append(events, '\0');
        content += static_cast<char>(columns::Encoding::dictionary);
        columns::append_varint(content, 1);
        columns::append_varint(content, entry_bytes);
        content.append(entry_bytes, 'x').append(events, '\0');
        std::string body{'\1', '\0', '\0', '\0', '\2', '\0', '\0', '\0'};
        body.resize(columns::kBodyPrefixBytes + columns::kBlockPrefixBytes);
        store_u32(body, 8, events);
        store_u32(body, 12, static_cast<std::uint32_t>(content.size()));
        return body + content;
    };
    CHECK(is_decoded(body_of(1'000, 4'000), types, 1'000));
    CHECK_FALSE(is_decoded(body_of(1'000, 5'000), types, 1'000));
    CHECK_FALSE(is_decoded(body_of(65'536, 65'000), types, 65'536));
    // Numbers of a byte each: as rows they would have eight.
    CHECK(is_decoded(body_of(65'536, 1), types, 65'536));
}

TEST_CASE("numbers of any size come back, by differences that wrap") {
    OwnedDescriptor type;
    type.name = "numbers";
    type.fields = {{"n", RecordKind::integer}};
    type.hash = 1;
    columns::Encoder encoder;
    const std::vector<std::int64_t> numbers{INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MAX, INT64_MIN};
    for (const std::int64_t number : numbers) {
        std::vector<std::byte> record(64);
        std::byte* at = put_raw(record.data(), type.hash);
        at = put_raw(put_raw(at, number), std::uint64_t{1});
        at = put_raw(at, number);
        record.resize(static_cast<std::size_t>(at - record.data()));
        const auto find = [&](std::uint32_t) { return &type; };
        REQUIRE(encoder.add(record, find, nullptr) == RecordError::none);
    }
    const FrameContent content = content_of(encoder);
    columns::Decoder decoder;
    REQUIRE(decoder.decode(content.body, {content.types, encoder.events(), content.values_bytes}));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        CHECK(static_cast<std::int64_t>(decoder.blocks()[0].times[i]) == numbers[i]);
        CHECK(static_cast<std::int64_t>(decoder.blocks()[0].columns[0].words[i]) == numbers[i]);
    }
}
