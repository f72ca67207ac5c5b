// Frames of columns beside frames of lines, of the same events: the same rows to the byte, the same
// dead letters with the same words.

#include "consumer/decode/column_rows.hpp"
#include "consumer/decode/frame_decoder.hpp"
#include "schemas/columns/encoder.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_records.hpp"
#include "tests/support/raw_columns.hpp"

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
        work = decoder_.open(std::move(pulled));
        work.origin = 9;
        work.reset();
        decoder_.decode(work, kNowUs);
    }
    std::uint64_t replaced_nuls() const { return decoder_.replaced_nuls(); }
    std::string row(std::size_t event) const {
        return work.rows.substr(work.events[event].begin,
                                work.events[event].end - work.events[event].begin);
    }

    MessageWork work;

  private:
    Stream stream_;
    std::string subject_ = frame_subject(EventClass::audit, "ams", "shop");
    std::vector<std::byte> data_;
    MessageDecoder decoder_{
        std::make_shared<const Catalog>(load_event_types(HOMEWARD_SAMPLE_TYPES)),
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
        REQUIRE(columns.work.is_columns);
        REQUIRE(columns.work.events.size() == lines.work.events.size());
        Payloads payloads;
        for (std::size_t i = 0; i < lines.work.events.size(); ++i) {
            INFO(i);
            CHECK(columns.row(i) == lines.row(i));
            CHECK(columns.work.events[i].seq == lines.work.events[i].seq);
            CHECK(columns.work.events[i].time_us == lines.work.events[i].time_us);
            CHECK(payloads.of(columns.work, columns.work.events[i]) ==
                  Payloads().of(lines.work, lines.work.events[i]));
        }
        REQUIRE(columns.work.dead.size() == lines.work.dead.size());
        for (std::size_t i = 0; i < lines.work.dead.size(); ++i) {
            INFO(lines.work.dead[i].payload);
            CHECK(columns.work.dead[i].seq == lines.work.dead[i].seq);
            CHECK(columns.work.dead[i].reason == lines.work.dead[i].reason);
            CHECK(columns.work.dead[i].payload == lines.work.dead[i].payload);
            CHECK(columns.work.dead[i].parked == lines.work.dead[i].parked);
        }
        CHECK(columns.replaced_nuls() == lines.replaced_nuls());
        rows += lines.work.events.size();
        dead += lines.work.dead.size();
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
    for (const EventRow& event : decoded.work.events) seqs.push_back(event.seq);
    for (const DeadEvent& dead : decoded.work.dead) seqs.push_back(dead.seq);
    std::sort(seqs.begin(), seqs.end());
    CHECK(seqs == std::vector<std::uint64_t>{101, 102, 108, 109, 110, 111, 112, 113, 114, 115});
}

TEST_CASE("columns that are not what they say become one dead letter, and settle the frame") {
    Pair pair = make_pair(4, 50);
    pair.columns.body[pair.columns.body.size() / 2] ^= '\x55';
    pair.columns.body.pop_back();
    const Decoded decoded(header_of(2, pair.events), pair.columns);
    CHECK(decoded.work.is_refused);
    REQUIRE(decoded.work.dead.size() == 1);
    CHECK_THAT(decoded.work.dead[0].reason, Contains("columns"));
    CHECK(decoded.work.body.capacity() < 100);  // the batch holds the message alone
    REQUIRE(decoded.work.tombstones.size() == 1);
    CHECK(decoded.work.tombstones[0].seq_last == decoded.work.seq_last());
}

TEST_CASE("a pattern by which text that is no JSON would pass for JSON is refused") {
    const auto decode = [](const std::string& pattern, const std::vector<RawNumbers>& numbers) {
        const std::string column = "\7" + raw_patterns({pattern}, "", numbers);
        return Decoded(header_of(2, 2), raw_columns("sample", {kNowUs, kNowUs + 1},
                                                    {{RecordKind::json, "body", column}}));
    };
    const Decoded good =
        decode(R"({"a":0,"b":0.1B})", {{1, 0, {17, 5}}, {1, 0, {0, 1}}, {1, 0, {5, 50}}});
    REQUIRE(good.work.events.size() == 2);
    CHECK_THAT(good.row(0), Contains(R"({"a":17,"b":0.05})"));
    CHECK_THAT(good.row(1), Contains(R"({"a":5,"b":1.50})"));
    // {"a":17} and {"a":05}; {"a":10} and {"a":05}
    CHECK(decode(R"({"a":1B})", {{1, 0, {17, 5}}}).work.is_refused);
    CHECK(decode(R"({"a":01A})", {{1, 0, {1, 0}}, {1, 0, {0, 5}}}).work.is_refused);
    CHECK(decode(R"({"a":00})", {{1, 0, {1, 0}}, {1, 0, {0, 5}}}).work.is_refused);
}
