// What is cut from records: lines in version 1, columns in version 2, with the same events.

#include "publisher/send/frame_builder.hpp"
#include "schemas/columns/event_line.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_records.hpp"

using namespace homeward;
using namespace homeward::testing;

namespace {

struct Cut {
    FrameHeader header;
    FrameContent content;
};

Cut cut(FrameBuilder& builder) {
    std::vector<std::byte> frame;
    builder.cut({1, builder.seqs()}, frame);
    Cut cut;
    REQUIRE(FrameDecoder().decode(frame, cut.header, cut.content) == FrameError::none);
    CHECK(frame.size() <= kFrameBytesMax);
    return cut;
}

std::vector<std::byte> text_record(const OwnedDescriptor& type, std::string_view text) {
    std::vector<std::byte> record(kTypedHeaderBytes + record_bytes(text));
    std::byte* at = put_raw(record.data(), type.hash);
    at = put_raw(put_raw(at, std::int64_t{1}), std::uint64_t{1});
    put(at, text);
    return record;
}

}  // namespace

TEST_CASE("version 1 has lines, version 2 columns, of the same events") {
    RandomRecords records(5);
    const SigningKey key = SigningKey::generate();
    FrameBuilder lines(EventClass::audit, PublisherId::random(), nullptr);
    FrameBuilder columns(EventClass::audit, key.publisher(), &key);
    for (int i = 0; i < 200; ++i) {
        const auto record = records.next();
        REQUIRE(lines.add_event(record, records.find(), nullptr) == RecordError::none);
        REQUIRE(columns.add_event(record, records.find(), nullptr) == RecordError::none);
    }
    columns.add_lost("dropped", 7);
    Cut of_lines = cut(lines);
    Cut of_columns = cut(columns);
    CHECK(of_lines.header.version == 1);
    CHECK(of_columns.header.version == 2);
    CHECK(of_lines.content.body_kind == BodyKind::json_lines);
    CHECK(of_columns.content.body_kind == BodyKind::columns);
    CHECK(of_columns.content.tombstones == std::vector<FrameTombstone>{{200, 7, "dropped"}});
    REQUIRE(columns::to_lines(of_columns.content, of_columns.header.line_count));
    CHECK(of_columns.content.body == of_lines.content.body);
    // The next frame begins anew.
    columns.clear();
    CHECK(columns.seqs() == 0);
    columns.add_lost("dropped", 1);
    CHECK(cut(columns).header.line_count == 0);
}

TEST_CASE("a frame is full before any reader would refuse it, however its events compress") {
    const SigningKey key = SigningKey::generate();
    OwnedDescriptor type;
    type.name = "t";
    type.hash = 1;
    type.fields = {{"text", RecordKind::text}};
    const FindDescriptor find = [&](std::uint32_t) { return &type; };
    std::mt19937_64 random(1);
    const auto noise = [&](std::size_t bytes) {
        std::string text(bytes, ' ');
        for (char& c : text) c = static_cast<char>(' ' + random() % 90);
        return text;
    };
    constexpr std::size_t kFrameBytesLargest = 256u << 10;
    // A dictionary that grows small frames to large ones; noise; and next to nothing.
    const std::vector<std::size_t> text_bytes{60'000, 4'000, 1, 0};
    for (const std::size_t bytes : text_bytes) {
        INFO(bytes);
        FrameBuilder builder(EventClass::audit, key.publisher(), &key);
        std::vector<std::string> texts;
        for (int i = 0; i < 300; ++i) texts.push_back(noise(bytes));
        for (std::size_t i = 0; !builder.is_full(kFrameBytesLargest); ++i) {
            REQUIRE(i < kFrameLinesMax);
            const std::size_t text = i % 3 == 0 ? i / 3 % texts.size() : i % 2;
            builder.add_event(text_record(type, texts[text]), find, nullptr);
        }
        // One more, the largest there is, as the check comes before each event.
        builder.add_event(text_record(type, noise(250'000)), find, nullptr);
        Cut found = cut(builder);
        CHECK(columns::to_lines(found.content, found.header.line_count));
    }
}
