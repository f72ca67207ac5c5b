// Packs from columns as they come beside packs from rows, of the same frames: the same to the byte.

#include "consumer/write/pack_encoder.hpp"

#include <cstring>
#include <deque>

#include "consumer/decode/frame_decoder.hpp"
#include "schemas/columns/encoder.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_records.hpp"

using namespace homeward;
using namespace homeward::consumer;
using namespace homeward::testing;

namespace {

/// The sample type without lists, of which no column of a frame becomes a part of a pack.
class SampleRecords {
  public:
    explicit SampleRecords(std::uint64_t seed) : records_(seed), type_(records_.types()[0]) {
        type_.fields.resize(type_.fields.size() - 2);
        std::vector<FieldDescriptor> fields;
        for (const auto& field : type_.fields) fields.push_back({field.name, field.kind});
        type_.hash = descriptor_hash(type_.name, type_.event_class, fields);
    }
    /// As add_to(), of a record whose eight bytes of time are these.
    void add_at(std::int64_t time_us, columns::Encoder& encoder) {
        auto record = records_.next_good(type_, true);
        std::memcpy(record.data() + sizeof(std::uint32_t), &time_us, sizeof time_us);
        add(record, encoder);
    }
    void add_to(columns::Encoder& encoder) { add(records_.next_good(type_, true), encoder); }
    /// A record whose only field is `name`.
    void add_named(std::string_view name, columns::Encoder& encoder) {
        auto record = records_.next_good(type_, true);
        record.resize(sizeof(std::uint32_t) + 2 * sizeof(std::uint64_t));
        const std::uint64_t presence = 1;
        std::memcpy(record.data() + record.size() - sizeof presence, &presence, sizeof presence);
        const auto bytes = static_cast<std::uint32_t>(name.size());
        const auto append = [&](const void* from, std::size_t size) {
            const auto* const begin = static_cast<const std::byte*>(from);
            record.insert(record.end(), begin, begin + size);
        };
        append(&bytes, sizeof bytes);
        append(name.data(), name.size());
        add(record, encoder);
    }

  private:
    void add(const std::vector<std::byte>& record, columns::Encoder& encoder) {
        const auto find = [this](std::uint32_t hash) {
            return hash == type_.hash ? &type_ : nullptr;
        };
        REQUIRE(encoder.add(record, find, nullptr) == RecordError::none);
    }

    RandomRecords records_;
    OwnedDescriptor type_;
};

std::vector<EventType> packed_types() {
    std::vector<EventType> types = load_event_types(HOMEWARD_SAMPLE_TYPES);
    for (EventType& type : types) type.is_packed = true;
    return types;
}

/// A writer's two ways with the frames of one origin.
class Packing {
  public:
    explicit Packing(MessageDecoder::Into into) : into_(into) {
        stream_.kind = StreamKind::audit;
        stream_.region = "ams";
        batch_.reserve(8);
    }
    void add(columns::Encoder& encoder) {
        FrameHeader header;
        header.version = 2;
        header.publisher.bytes[0] = 1;
        header.seq_first = seq_next_;
        header.seq_count = header.line_count = encoder.events();
        header.accepted = header.seq_last();
        seq_next_ = header.seq_last() + 1;
        FrameContent content;
        encoder.write(content);
        auto& frame = frames_.emplace_back();
        REQUIRE(FrameEncoder().encode(header, content, nullptr, frame));
        PulledMessage pulled;
        pulled.stream = &stream_;
        pulled.message.subject = subject_;
        pulled.message.data = frame;
        pulled.message.delivery.time_us = kNowUs;
        MessageWork& work = batch_.emplace_back(decoder_.open(std::move(pulled)));
        work.origin = 9;
        work.reset();
        decoder_.decode(work, kNowUs, into_);
        REQUIRE(work.dead.empty());
    }
    /// How many events are to be rows instead.
    std::size_t encode() {
        std::vector<RowPlace> places;
        for (MessageWork& work : batch_) {
            for (std::size_t i = 0; i < work.events.size(); ++i) places.push_back({&work, i});
        }
        return PackEncoder(catalog_->types()[0],
                           {{"text_list", 70'001}, {"bigint_list", 70'002}, {"uuid_list", 70'003}})
            .encode(places, packs)
            .size();
    }
    std::size_t packed_blocks() const {
        std::size_t blocks = 0;
        for (const MessageWork& work : batch_) blocks += work.packed.size();
        return blocks;
    }
    const Batch& batch() const { return batch_; }

    std::string packs;

  private:
    MessageDecoder::Into into_;
    Stream stream_;
    std::string subject_ = frame_subject(EventClass::audit, "ams", "shop");
    std::deque<std::vector<std::byte>> frames_;
    std::uint64_t seq_next_ = 101;
    std::shared_ptr<const Catalog> catalog_ = std::make_shared<const Catalog>(packed_types());
    MessageDecoder decoder_{catalog_, {3'650 * kDayUs, 2 * kDayUs}};
    Batch batch_;
};

/// Fills a frame for each way, by `fill(records, encoder)`. False: its events stayed rows.
template <typename Fill>
bool is_packed_alike(const Fill& fill) {
    Packing rows(MessageDecoder::Into::rows), packs(MessageDecoder::Into::packs);
    for (Packing* one : {&rows, &packs}) {
        SampleRecords records(7);
        columns::Encoder encoder;
        fill(records, encoder);
        one->add(encoder);
    }
    REQUIRE(rows.packed_blocks() == 0);
    const std::size_t left = rows.encode();
    CHECK(packs.encode() == left);
    CHECK(packs.packs == rows.packs);
    return packs.packed_blocks() == 1;
}

}  // namespace

TEST_CASE("columns become the packs that their rows would") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        INFO(seed);
        Packing rows(MessageDecoder::Into::rows), packs(MessageDecoder::Into::packs);
        for (Packing* one : {&rows, &packs}) {
            SampleRecords records(seed);
            for (int frame = 0; frame < 3; ++frame) {
                columns::Encoder encoder;
                for (std::uint64_t i = 0; i < 8 + seed * seed; ++i) records.add_to(encoder);
                one->add(encoder);
            }
        }
        REQUIRE(packs.packed_blocks() == 3);
        Payloads payloads;
        for (std::size_t i = 0; i < rows.batch().size(); ++i) {
            const MessageWork& of_rows = rows.batch()[i];
            const MessageWork& of_packs = packs.batch()[i];
            CHECK(of_packs.rows.empty());
            REQUIRE(of_packs.events.size() == of_rows.events.size());
            for (std::size_t j = 0; j < of_rows.events.size(); ++j) {
                CHECK(of_packs.events[j].seq == of_rows.events[j].seq);
                CHECK(of_packs.events[j].time_us == of_rows.events[j].time_us);
            }
            CHECK(payloads.of(of_packs, of_packs.events.back()) ==
                  Payloads().of(of_rows, of_rows.events.back()));
        }
        CHECK(rows.encode() == 0);
        CHECK(packs.encode() == 0);
        CHECK(packs.packs.size() > 100);
        CHECK(packs.packs == rows.packs);
    }
}

TEST_CASE("a block of more events than a pack has becomes packs of equal size") {
    const auto pack = [](Packing& packing, std::uint64_t events) {
        SampleRecords records(11);
        columns::Encoder encoder;
        for (std::uint64_t i = 0; i < events; ++i) {
            // Two parts, of which one has what needs another text.
            records.add_named(i == 1 ? std::string("a\0b", 3) : "n" + std::to_string(i), encoder);
        }
        packing.add(encoder);
        return packing.encode();
    };
    Packing rows(MessageDecoder::Into::rows), packs(MessageDecoder::Into::packs);
    CHECK(pack(rows, std::uint64_t{2} * kPackEventsMax) == 0);
    CHECK(pack(packs, std::uint64_t{2} * kPackEventsMax) == 0);
    CHECK(packs.packed_blocks() == 2);
    CHECK(packs.packs == rows.packs);
    Packing more(MessageDecoder::Into::packs);
    CHECK(pack(more, kPackEventsMax + 1) == 0);
    REQUIRE(more.packed_blocks() == 2);
    CHECK(more.batch()[0].rows.empty());
    CHECK(more.batch()[0].packed[0].seqs.size() == kPackEventsMax / 2 + 1);
    CHECK(more.batch()[0].packed[1].seqs.size() == kPackEventsMax / 2);
}

TEST_CASE("texts of every length, and what needs another text, are packed as in rows") {
    const auto add = [](SampleRecords& records, columns::Encoder& encoder, std::size_t bytes) {
        for (std::size_t i = 0; i <= bytes; ++i) records.add_named(std::string(i, 'x'), encoder);
    };
    CHECK(is_packed_alike([&](auto& records, auto& encoder) { add(records, encoder, 20); }));
    // As long as the type allows, in characters of two bytes.
    CHECK(is_packed_alike([&](auto& records, auto& encoder) {
        std::string umlauts;
        for (int i = 0; i < 20; ++i) records.add_named(umlauts += "ö", encoder);
    }));
    const std::string with_nul("a\0b", 3);
    CHECK(is_packed_alike([&](auto& records, auto& encoder) {
        add(records, encoder, 20);
        records.add_named(with_nul, encoder);
    }));
    // By a dictionary.
    CHECK(is_packed_alike([&](auto& records, auto& encoder) {
        for (int i = 0; i < 300; ++i) records.add_named(i % 3 == 0 ? with_nul : "b", encoder);
    }));
    CHECK(is_packed_alike([&](auto& records, auto& encoder) {
        for (int i = 0; i < 300; ++i) records.add_named("b" + std::to_string(i % 20), encoder);
    }));
}

TEST_CASE("a block that no pack can have as a whole becomes rows") {
    const auto events = [](SampleRecords& records, columns::Encoder& encoder, int count) {
        for (int i = 0; i < count; ++i) records.add_named("n" + std::to_string(i), encoder);
    };
    CHECK(is_packed_alike(
        [&](auto& records, auto& encoder) { events(records, encoder, kPackEventsMin); }));
    CHECK(!is_packed_alike(
        [&](auto& records, auto& encoder) { events(records, encoder, kPackEventsMin - 1); }));
    // Texts by which packs separate texts.
    for (const std::string name : {"a\x1e"
                                   "b",
                                   "\x1e", "\x1d"}) {
        CHECK(!is_packed_alike([&](auto& records, auto& encoder) {
            events(records, encoder, 20);
            records.add_named(name, encoder);
        }));
    }
    CHECK(is_packed_alike([&](auto& records, auto& encoder) {
        events(records, encoder, 20);
        for (const char* name : {"", "\x1d\x1d", "a\x1d"}) records.add_named(name, encoder);
    }));
    // Of two days, and of one that the budget for late days may refuse.
    CHECK(!is_packed_alike([&](auto& records, auto& encoder) {
        for (int i = 0; i < 20; ++i) records.add_at(kNowUs - i * kDayUs / 10, encoder);
    }));
    CHECK(is_packed_alike([&](auto& records, auto& encoder) {
        for (int i = 0; i < 20; ++i) records.add_at(kNowUs - kDayUs + i, encoder);
    }));
    CHECK(!is_packed_alike([&](auto& records, auto& encoder) {
        for (int i = 0; i < 20; ++i) records.add_at(kNowUs - 2 * kDayUs + i, encoder);
    }));
}
