// A whole message: whatever it is, each of its seqs becomes a row, a dead event or part of a
// tombstone, once; and the rows lie behind one another where their events say. Frames have lines or
// columns. Decoded into packs, the same events are left, each in a row or in a block.

#include "consumer/decode/frame_decoder.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using namespace homeward::consumer;
using fuzz::require;

namespace {

void check(const MessageWork& unit) {
    std::uint64_t settled = unit.events.size() + unit.dead.size();
    for (const Tombstone& stone : unit.tombstones) {
        require(stone.seq_first >= unit.seq_first && stone.seq_last <= unit.seq_last());
        settled += stone.seq_last - stone.seq_first + 1;
    }
    require(settled == unit.seq_count);
    std::uint32_t end = 0;
    for (const EventRow& event : unit.events) {
        require(event.begin == end && event.end > end && event.end <= unit.rows.size());
        require(unit.is_columns ||
                (event.line_begin < event.line_end && event.line_end <= unit.body.size()));
        require(event.seq >= unit.seq_first && event.seq <= unit.seq_last());
        end = event.end;
    }
    require(end == unit.rows.size());
    for (const DeadEvent& dead : unit.dead) require(!dead.reason.empty());
}

void check_packs(const MessageWork& unit, const std::vector<EventRow>& of_rows) {
    require(unit.events.size() == of_rows.size());
    std::size_t without_row = 0;
    for (std::size_t i = 0; i < unit.events.size(); ++i) {
        require(unit.events[i].seq == of_rows[i].seq);
        require(unit.events[i].type == of_rows[i].type);
        require(unit.events[i].time_us == of_rows[i].time_us);
        without_row += unit.events[i].has_row() ? 0 : 1;
    }
    for (const PackedBlock& block : unit.packed) {
        require(block.times.size() == 12 * block.seqs.size());
        require(block.time_first_us <= block.time_last_us);
        without_row -= block.seqs.size();
    }
    require(without_row == 0);
}

std::vector<EventType> packed_types() {
    std::vector<EventType> types = load_event_types(HOMEWARD_SAMPLE_TYPES);
    for (EventType& type : types) type.is_packed = true;
    return types;
}

std::string frame_of(fuzz::Bytes& input, bool has_columns) {
    FrameHeader header;
    header.publisher.bytes[0] = 1;
    header.seq_count = 1 + input.take<std::uint8_t>();
    header.line_count = 1 + input.take<std::uint8_t>() % header.seq_count;
    header.accepted = header.seq_last();
    std::vector<std::byte> frame;
    FrameEncoder encoder;
    if (!has_columns) {
        require(encoder.encode(header, input.take_text(input.size()), frame));
    } else {
        header.version = 2;
        header.line_count = header.seq_count;
        FrameContent content;
        content.body_kind = BodyKind::columns;
        content.types = input.take_text(input.take<std::uint8_t>());
        content.values_bytes = input.take<std::uint32_t>() % kBodyBytesMax;
        content.body = input.take_text(input.size());
        content.body += '\n';
        require(encoder.encode(header, content, nullptr, frame));
    }
    return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static UnitDecoder decoder(std::make_shared<const Catalog>(packed_types()),
                               {3'650 * testing::kDayUs, 2 * testing::kDayUs});
    fuzz::Bytes input(data, size);
    const std::uint8_t kind = input.take<std::uint8_t>() % 4;
    const bool is_plain = kind % 2 == 0;
    const std::string message =
        is_plain ? std::string(input.take_text(input.size())) : frame_of(input, kind == 3);
    const std::string subject =
        is_plain ? plain_subject("ams", "web") : frame_subject(EventClass::audit, "ams", "web");
    Stream stream;
    stream.kind = is_plain ? StreamKind::plain : StreamKind::audit;
    stream.region = "ams";
    PulledMessage pulled;
    pulled.stream = &stream;
    pulled.message.subject = subject;
    pulled.message.data = std::as_bytes(std::span<const char>(message));
    pulled.message.delivery.time_us = testing::kNowUs;
    MessageWork unit = decoder.open(std::move(pulled));
    unit.origin = 1;
    unit.reset();
    decoder.decode(unit, testing::kNowUs);
    check(unit);
    const std::vector<EventRow> rows = std::move(unit.events);
    unit.reset();
    decoder.decode(unit, testing::kNowUs, UnitDecoder::Into::packs);
    check_packs(unit, rows);
    return 0;
}
