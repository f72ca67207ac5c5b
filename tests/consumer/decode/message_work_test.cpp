// What a batch writes of a message: which seqs each line gets, what a damaged or lying frame
// becomes, and how a plain client's message is cut into events. All of it always adds up to its
// seqs.

#include <algorithm>

#include "consumer/decode/frame_decoder.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::consumer;
using namespace homeward::testing;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kLine = "{\"type\":\"sample\",\"name\":\"a\"}\n";

std::string repeated(std::string_view line, int times) {
    std::string body;
    while (times-- > 0) body += line;
    return body;
}

FrameHeader header_of(std::uint64_t first, std::uint32_t seqs, std::uint32_t lines) {
    FrameHeader header;
    header.publisher = PublisherId::random();
    header.seq_first = first;
    header.seq_count = seqs;
    header.line_count = lines;
    header.accepted = first + seqs - 1;
    return header;
}

/// Opens and decodes one message at a time. Keeps its bytes, as the NATS library would.
class Opener {
  public:
    Opener() {
        audit_.kind = StreamKind::audit;
        plain_.kind = StreamKind::plain;
        metric_.kind = StreamKind::metric;
        for (Stream* stream : {&audit_, &plain_, &metric_}) stream->region = "ams";
    }
    MessageWork frame(const FrameHeader& header, const std::string& body) {
        std::vector<std::byte> bytes;
        REQUIRE(encoder_.encode(header, body, bytes));
        return message(audit_, frame_subject(EventClass::audit, "ams", "shop"),
                       {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
    MessageWork plain(const std::string& data) {
        return message(plain_, plain_subject("ams", "web"), data);
    }
    MessageWork message(const Stream& stream, const std::string& subject, const std::string& data) {
        data_ = data;
        subject_ = subject;
        PulledMessage pulled;
        pulled.stream = &stream;
        pulled.message.subject = subject_;
        pulled.message.data = std::as_bytes(std::span<const char>(data_));
        pulled.message.delivery.time_us = kNowUs;
        MessageWork work = decoder_.open(std::move(pulled));
        work.origin = 1;
        work.reset();
        decoder_.decode(work, kNowUs);
        check_sum(work);
        return work;
    }
    const Stream& metric() const { return metric_; }
    const Stream& plain_stream() const { return plain_; }
    const Stream& audit() const { return audit_; }

  private:
    /// Invariant: every seq of a message is a row, a dead event or under a tombstone, once.
    static void check_sum(const MessageWork& work) {
        std::vector<std::uint64_t> seqs;
        for (const EventRow& event : work.events) seqs.push_back(event.seq);
        for (const DeadEvent& dead : work.dead) seqs.push_back(dead.seq);
        for (const auto& stone : work.tombstones) {
            for (auto seq = stone.seq_first; seq <= stone.seq_last; ++seq) seqs.push_back(seq);
        }
        std::sort(seqs.begin(), seqs.end());
        std::vector<std::uint64_t> expected(work.seq_count);
        for (std::uint64_t i = 0; i < work.seq_count; ++i) expected[i] = work.seq_first + i;
        CHECK(seqs == expected);
    }

    MessageDecoder decoder_{
        std::make_shared<const Catalog>(load_event_types(HOMEWARD_SAMPLE_TYPES)),
        {3'650 * kDayUs, 2 * kDayUs}};
    FrameEncoder encoder_;
    Stream audit_, plain_, metric_;
    std::string data_;
    std::string subject_;
};

}  // namespace

TEST_CASE("each line of a frame gets the next seq, tombstones as many as they cover") {
    Opener opener;
    std::string body = repeated(kLine, 2);
    append_tombstone(body, "dropped", 10, kNowUs);
    body += kLine;
    body += "{\"type\":\"sample\",\"small\":\"x\"}\n";
    body += "{\"type\":\"other\"}\n";
    const MessageWork work = opener.frame(header_of(101, 15, 6), body);
    REQUIRE(work.events.size() == 3);
    CHECK(work.events[1].seq == 102);
    CHECK(work.events[2].seq == 113);
    REQUIRE(work.tombstones.size() == 1);
    CHECK(work.tombstones[0].seq_first == 103);
    CHECK(work.tombstones[0].seq_last == 112);
    REQUIRE(work.dead.size() == 2);
    CHECK(work.dead[0].seq == 114);
    CHECK_FALSE(work.dead[0].parked);
    CHECK(work.dead[1].seq == 115);
    CHECK(work.dead[1].parked);
    CHECK(work.dead[1].type == "other");
    CHECK(work.dead[1].payload == "{\"type\":\"other\"}");
}

TEST_CASE("a tombstone covers no more than its frame announces, however much it claims") {
    Opener opener;
    std::string body = kLine;
    append_tombstone(body, "dropped", 3, kNowUs);
    append_tombstone(body, "dropped", UINT32_MAX, kNowUs);
    body += repeated(kLine, 7);
    const MessageWork work = opener.frame(header_of(101, 12, 10), body);
    CHECK(work.events.size() == 8);
    REQUIRE(work.tombstones.size() == 1);
    CHECK(work.tombstones[0].seq_first == 102);
    CHECK(work.tombstones[0].seq_last == 104);
    REQUIRE(work.dead.size() == 1);
    CHECK(work.dead[0].seq == 105);
    CHECK_THAT(work.dead[0].reason, Contains("covers no seqs of its sender"));
}

TEST_CASE("seqs and counts beyond 2^48 are refused, and settle nothing") {
    constexpr std::uint64_t kSeqMax = std::uint64_t{1} << 48;
    Opener opener;
    CHECK(opener.frame(header_of(kSeqMax - 1, 2, 2), repeated(kLine, 2)).events.size() == 2);
    std::vector<FrameHeader> beyond(4, header_of(1, 2, 2));
    beyond[0] = header_of(kSeqMax, 2, 2);
    beyond[1] = header_of(INT64_MAX - 2, 2, 2);
    beyond[2].accepted = kSeqMax + 1;
    beyond[3].flags = kFrameCountOnly;
    beyond[3].seq_count = beyond[3].line_count = 0;
    beyond[3].accepted = INT64_MAX - 1;
    for (const FrameHeader& header : beyond) {
        INFO(header.seq_first << " accepted " << header.accepted);
        const bool is_mark = header.seq_count == 0;
        const MessageWork work = opener.frame(header, is_mark ? "" : repeated(kLine, 2));
        CHECK(work.is_plain());
        REQUIRE(work.dead.size() == 1);
        CHECK_THAT(work.dead[0].reason, Contains("beyond 2^48"));
    }
}

TEST_CASE("rows are where their events say") {
    Opener opener;
    const MessageWork work = opener.frame(header_of(1, 3, 3), repeated(kLine, 3));
    REQUIRE(work.events.size() == 3);
    std::uint32_t end = 0;
    for (const EventRow& event : work.events) {
        CHECK(event.begin == end);
        end = event.end;
        const auto row =
            read_copy_row(std::string_view(work.rows).substr(event.begin, event.end - event.begin));
        CHECK(row[1] == big_endian(event.seq, 8));
        CHECK(work.body.substr(event.line_begin, event.line_end - event.line_begin) + "\n" ==
              kLine);
    }
    CHECK(end == work.rows.size());
}

TEST_CASE("a frame whose lines do not add up to its seqs is one dead letter, none of it rows") {
    Opener opener;
    std::string too_many_dropped = kLine;
    append_tombstone(too_many_dropped, "dropped", 4'000'000'000, kNowUs);
    for (const auto& [header, body] : {std::pair(header_of(1, 5, 4), repeated(kLine, 4)),
                                       std::pair(header_of(1, 4, 4), repeated(kLine, 5)),
                                       std::pair(header_of(1, 4, 4), repeated("\n", 4)),
                                       std::pair(header_of(1, 4, 2), too_many_dropped)}) {
        const MessageWork work = opener.frame(header, body);
        CHECK(work.rows.empty());
        REQUIRE(work.dead.size() == 1);
        CHECK_THAT(work.dead[0].reason, Contains("do not add up"));
        CHECK(work.dead[0].payload == body);
    }
}

TEST_CASE("marks carry no seqs; a frame may close its origin") {
    Opener opener;
    FrameHeader mark;
    mark.publisher = PublisherId::random();
    mark.flags = kFrameCountOnly | kFrameClosing;
    mark.seq_first = 8;
    mark.accepted = 7;
    const MessageWork work = opener.frame(mark, "");
    CHECK(work.is_heartbeat());
    CHECK(work.closing);
    CHECK(work.accepted == 7);
    CHECK(work.refusal.empty());
    FrameHeader last = header_of(7, 1, 1);
    last.flags = kFrameClosing;
    CHECK(opener.frame(last, kLine).closing);
}

TEST_CASE("what is no frame, or one of the other class, is one dead letter of no origin") {
    Opener opener;
    std::vector<std::byte> bytes;
    FrameEncoder encoder;
    REQUIRE(encoder.encode(header_of(1, 1, 1), kLine, bytes));
    const std::string frame(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const MessageWork other_class =
        opener.message(opener.metric(), frame_subject(EventClass::metric, "ams", "shop"), frame);
    CHECK(other_class.is_plain());
    CHECK_THAT(other_class.refusal, Contains("other class"));
    for (std::size_t cut = 0; cut < frame.size(); ++cut) {
        const MessageWork work = opener.message(
            opener.audit(), frame_subject(EventClass::audit, "ams", "shop"), frame.substr(0, cut));
        CHECK(work.is_plain());
        REQUIRE(work.dead.size() == 1);
        CHECK(work.dead[0].payload == frame.substr(0, cut));
    }
    const MessageWork lost = opener.message(opener.plain_stream(), "homeward.plain.Ams!", kLine);
    CHECK_THAT(lost.refusal, Contains("expected homeward.plain.ams.>"));
}

TEST_CASE("what a stream takes of another region's subjects is refused") {
    Opener opener;
    std::vector<std::byte> bytes;
    FrameEncoder encoder;
    REQUIRE(encoder.encode(header_of(1, 1, 1), kLine, bytes));
    const std::string frame(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const MessageWork forged =
        opener.message(opener.audit(), frame_subject(EventClass::audit, "syd", "shop"), frame);
    CHECK(forged.events.empty());
    CHECK_THAT(forged.refusal, Contains("homeward.frame.audit.syd.shop is none of the stream's"));
    const MessageWork other_kind =
        opener.message(opener.audit(), plain_subject("ams", "shop"), kLine);
    CHECK(other_kind.events.empty());
    const MessageWork forged_plain =
        opener.message(opener.plain_stream(), plain_subject("syd", "shop"), kLine);
    CHECK(forged_plain.events.empty());
    CHECK(forged_plain.dead.size() == 1);
}

TEST_CASE("a plain message is one event, or one a line if its lines look like events") {
    Opener opener;
    CHECK(opener.plain("{\"type\":\"sample\"}").events.size() == 1);
    CHECK(opener.plain("\n\n {\n\"type\"\n:\r\n\"sample\"\n}\n").events.size() == 1);
    CHECK(opener.plain(repeated(kLine, 3)).events.size() == 3);
    CHECK(opener.plain("\n" + repeated(kLine, 2) + "\r\n \t\n" + kLine).events.size() == 3);
    CHECK(opener.plain("{\"type\":\"sample\"}\r\n{\"type\":\"sample\"} \r\n").events.size() == 2);
    const MessageWork mixed = opener.plain(std::string(kLine) + "{\"type\":\"sample\",}\n" + kLine);
    CHECK(mixed.events.size() == 2);
    CHECK(mixed.dead.size() == 1);
    CHECK(mixed.dead.at(0).seq == 2);
    CHECK(opener.plain("{\"type\":\"sample\",\n\"body\":{\n}\n}").events.size() == 1);
    for (const char* empty : {"", " ", "\n", "\r\n \t\r\n"}) {
        CHECK_THAT(opener.plain(empty).refusal, Contains("empty"));
    }
}

TEST_CASE("bad lines of a plain message are dead letters of their own, and the others are rows") {
    Opener opener;
    for (const std::string bad :
         {"not JSON", "{\"type\":\"sample\"", "[]", "\"\xff\"", "}{", "7"}) {
        INFO(bad);
        const MessageWork work = opener.plain(kLine + bad + "\n" + kLine);
        CHECK(work.events.size() == 2);
        REQUIRE(work.dead.size() == 1);
        CHECK(work.dead[0].seq == 2);
        CHECK(work.dead[0].payload == bad);
        CHECK(opener.plain(bad + "\r\n" + kLine).events.size() == 1);
    }
    // One event over several lines, of which some look like events of their own.
    const MessageWork spread = opener.plain("{\"type\":\"sample\",\"more\":[\n" +
                                            std::string(kLine) + ",\n" + kLine + "]}\n");
    CHECK(spread.events.size() == 1);
    CHECK(spread.dead.empty());
    // What is not even in part like lines of events is one letter, whole.
    CHECK(opener.plain("{\"type\":\"sample\",\n\"body\":[1,]\n}").dead.size() == 1);
    CHECK(opener.plain("some\nlog\nlines\n").dead.size() == 1);
}

TEST_CASE(
    "a line end inside a string makes a plain message no JSON, and its letter shows it as it was") {
    Opener opener;
    for (const std::string text :
         {"{\"type\":\"sample\",\"name\":\"a\nb\"}", "{\"type\":\"sample\",\"name\n\":1}",
          "{\"type\":\"sample\",\n\"body\":[\"a\n\"]\n}\n", "{\"type\":\"sam\nple\"}"}) {
        const MessageWork work = opener.plain(text);
        CHECK(work.events.empty());
        REQUIRE(work.dead.size() == 1);
        CHECK_THAT(work.dead[0].reason, Contains("not valid JSON"));
        CHECK(work.dead[0].payload == text);
    }
}

TEST_CASE("a plain client cannot report losses that are not its own") {
    Opener opener;
    const MessageWork work =
        opener.plain(R"({"type":"homeward.tombstone","reason":"dropped","count":1000000})");
    CHECK(work.tombstones.empty());
    REQUIRE(work.dead.size() == 1);
    CHECK_THAT(work.dead[0].reason, Contains("covers no seqs"));
}

TEST_CASE("decoding a message again after a reset gives the same") {
    Opener opener;
    MessageWork work = opener.plain(repeated(kLine, 3));
    const std::string rows = work.rows;
    MessageDecoder decoder(std::make_shared<const Catalog>(load_event_types(HOMEWARD_SAMPLE_TYPES)),
                           {3'650 * kDayUs, 2 * kDayUs});
    work.reset();
    CHECK(work.events.empty());
    decoder.decode(work, kNowUs);
    CHECK(work.rows == rows);
}

TEST_CASE("a subject that names no app says what an app may be called") {
    Opener opener;
    for (const char* app : {"Shop", "shop.web", "_shop", "a b"}) {
        const std::string subject = "homeward.plain.ams." + std::string(app);
        const MessageWork work = opener.message(opener.plain_stream(), subject, "{}");
        CHECK_THAT(work.refusal, Contains("ends with \"" + std::string(app) + "\"") &&
                                     Contains("no capital letter and no dot"));
    }
    const MessageWork foreign = opener.message(opener.plain_stream(), "orders.new", "{}");
    CHECK_THAT(foreign.refusal, Contains("expected homeward.plain.ams.>"));
}
