// Frames of columns beside frames of lines, of the same events: the same rows to the byte, the same
// dead letters with the same words.

#include "consumer/decode/column_rows.hpp"
#include "consumer/decode/frame_decoder.hpp"
#include "schemas/columns/encoder.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_records.hpp"

using namespace homeward;
using namespace homeward::consumer;
using namespace homeward::testing;
using Catch::Matchers::Contains;

namespace {

/// A message and what it becomes.
class Decoded {
  public:
    Decoded(const FrameHeader& header, const FrameContent& content) {
        stream_.kind = StreamKind::audit;
        stream_.region = "ams";
        std::vector<std::byte> frame;
        const bool is_encoded = header.version == 1
                                    ? FrameEncoder().encode(header, content.body, frame)
                                    : FrameEncoder().encode(header, content, nullptr, frame);
        REQUIRE(is_encoded);
        data_ = std::move(frame);
        PulledMessage pulled;
        pulled.stream = &stream_;
        pulled.message.subject = subject_;
        pulled.message.data = data_;
        pulled.message.delivery.time_us = kNowUs;
        unit = decoder_.open(std::move(pulled));
        unit.origin = 9;
        unit.reset();
        decoder_.decode(unit, kNowUs);
    }
    std::uint64_t replaced_nuls() const { return decoder_.replaced_nuls(); }
    std::string row(std::size_t event) const {
        return unit.rows.substr(unit.events[event].begin,
                                unit.events[event].end - unit.events[event].begin);
    }

    MessageWork unit;

  private:
    Stream stream_;
    std::string subject_ = frame_subject(EventClass::audit, "ams", "shop");
    std::vector<std::byte> data_;
    UnitDecoder decoder_{std::make_shared<const Catalog>(load_event_types(HOMEWARD_SAMPLE_TYPES)),
                         {3'650 * kDayUs, 2 * kDayUs}};
};

FrameHeader header_of(std::uint8_t version, std::uint32_t events) {
    FrameHeader header;
    header.version = version;
    header.publisher.bytes[0] = 1;
    header.seq_first = 101;
    header.seq_count = header.line_count = events;
    header.accepted = header.seq_last();
    return header;
}

/// The same records both ways.
struct Pair {
    FrameContent lines;
    FrameContent columns;
    std::uint32_t events = 0;
};
Pair make_pair(std::uint64_t seed, std::size_t count) {
    RandomRecords records(seed);
    columns::Encoder encoder;
    Pair pair;
    while (count-- > 0 && !encoder.is_full()) {
        const auto record = records.next();
        REQUIRE(encoder.add(record, records.find(), nullptr) == RecordError::none);
        append_record_json(record, records.find(), pair.lines.body);
        pair.lines.body += '\n';
    }
    pair.events = encoder.events();
    encoder.write(pair.columns);
    return pair;
}

}  // namespace

TEST_CASE("columns become the rows and dead letters that their lines would") {
    std::size_t rows = 0, dead = 0, nuls = 0;
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        INFO(seed);
        const Pair pair = make_pair(seed, 200 + seed * 10);
        const Decoded lines(header_of(2, pair.events), pair.lines);
        const Decoded columns(header_of(2, pair.events), pair.columns);
        REQUIRE(columns.unit.is_columns);
        REQUIRE(columns.unit.events.size() == lines.unit.events.size());
        Payloads payloads;
        for (std::size_t i = 0; i < lines.unit.events.size(); ++i) {
            INFO(i);
            CHECK(columns.row(i) == lines.row(i));
            CHECK(columns.unit.events[i].seq == lines.unit.events[i].seq);
            CHECK(columns.unit.events[i].time_us == lines.unit.events[i].time_us);
            CHECK(payloads.of(columns.unit, columns.unit.events[i]) ==
                  Payloads().of(lines.unit, lines.unit.events[i]));
        }
        REQUIRE(columns.unit.dead.size() == lines.unit.dead.size());
        for (std::size_t i = 0; i < lines.unit.dead.size(); ++i) {
            INFO(lines.unit.dead[i].payload);
            CHECK(columns.unit.dead[i].seq == lines.unit.dead[i].seq);
            CHECK(columns.unit.dead[i].reason == lines.unit.dead[i].reason);
            CHECK(columns.unit.dead[i].payload == lines.unit.dead[i].payload);
            CHECK(columns.unit.dead[i].parked == lines.unit.dead[i].parked);
        }
        CHECK(columns.replaced_nuls() == lines.replaced_nuls());
        rows += lines.unit.events.size();
        dead += lines.unit.dead.size();
        nuls += lines.replaced_nuls();
    }
    // The samples have what they are for.
    CHECK(rows > 3'000);
    CHECK(dead > 300);
    CHECK(nuls > 10);
}

TEST_CASE("the events of columns take the seqs that tombstones leave") {
    Pair pair = make_pair(3, 10);
    FrameHeader header = header_of(2, pair.events);
    pair.columns.tombstones = {{2, 5, "dropped"}};
    header.seq_count += 5;
    header.accepted += 5;
    const Decoded decoded(header, pair.columns);
    std::vector<std::uint64_t> seqs;
    for (const EventRow& event : decoded.unit.events) seqs.push_back(event.seq);
    for (const DeadEvent& dead : decoded.unit.dead) seqs.push_back(dead.seq);
    std::sort(seqs.begin(), seqs.end());
    CHECK(seqs == std::vector<std::uint64_t>{101, 102, 108, 109, 110, 111, 112, 113, 114, 115});
}

TEST_CASE("columns that are not what they say become one dead letter, and settle the frame") {
    Pair pair = make_pair(4, 50);
    pair.columns.body[pair.columns.body.size() / 2] ^= '\x55';
    pair.columns.body.pop_back();
    const Decoded decoded(header_of(2, pair.events), pair.columns);
    CHECK(decoded.unit.is_refused);
    REQUIRE(decoded.unit.dead.size() == 1);
    CHECK_THAT(decoded.unit.dead[0].reason, Contains("columns"));
    REQUIRE(decoded.unit.tombstones.size() == 1);
    CHECK(decoded.unit.tombstones[0].seq_last == decoded.unit.seq_last());
}
