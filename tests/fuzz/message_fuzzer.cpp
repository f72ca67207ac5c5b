// A whole message: whatever it is, each of its seqs becomes a row, a dead event or part of a
// tombstone, once; and the rows lie behind one another where their events say. Frames have lines or
// columns. Decoded into packs, the same events are left, each in a row or in a block; and what
// packs have of a jsonb column is JSON, since the leader takes it as text.

#include "consumer/decode/frame_decoder.hpp"
#include "consumer/decode/pack_form.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using namespace homeward::consumer;
using fuzz::require;

namespace {

void check(const MessageWork& work) {
    std::uint64_t settled = work.events.size() + work.dead.size();
    for (const Tombstone& stone : work.tombstones) {
        require(stone.seq_first >= work.seq_first && stone.seq_last <= work.seq_last());
        settled += stone.seq_last - stone.seq_first + 1;
    }
    require(settled == work.seq_count);
    std::uint32_t end = 0;
    for (const EventRow& event : work.events) {
        require(event.begin == end && event.end > end && event.end <= work.rows.size());
        require(work.is_columns ||
                (event.line_begin < event.line_end && event.line_end <= work.body.size()));
        require(event.seq >= work.seq_first && event.seq <= work.seq_last());
        end = event.end;
    }
    require(end == work.rows.size());
    for (const DeadEvent& dead : work.dead) require(!dead.reason.empty());
}

void check_packs(const MessageWork& work, const std::vector<EventRow>& of_rows) {
    require(work.events.size() == of_rows.size());
    std::size_t without_row = 0;
    for (std::size_t i = 0; i < work.events.size(); ++i) {
        require(work.events[i].seq == of_rows[i].seq);
        require(work.events[i].type == of_rows[i].type);
        require(work.events[i].time_us == of_rows[i].time_us);
        without_row += work.events[i].has_row() ? 0 : 1;
    }
    for (const PackedBlock& block : work.packed) {
        require(block.times.size() == 12 * block.seqs.size());
        require(block.time_first_us <= block.time_last_us);
        without_row -= block.seqs.size();
    }
    require(without_row == 0);
}

void check_json(std::string_view joined) {
    static EventDecoder parser(std::make_shared<const Catalog>(std::vector<EventType>{}), {0, 0});
    while (!joined.empty()) {
        const std::size_t end = std::min(joined.find(kPackSeparator), joined.size());
        std::string text(joined.substr(0, end));
        joined.remove_prefix(std::min(end + 1, joined.size()));
        text.reserve(text.size() + EventDecoder::padding());
        require(text == std::string(1, kPackNull) || parser.is_json(text));
    }
}

void check_json(const MessageWork& work, const Catalog& catalog) {
    for (const EventRow& event : work.events) {
        if (event.has_row() || event.seq != work.packed[event.begin].seqs.front()) continue;
        const auto& fields = catalog.types()[static_cast<std::size_t>(event.type)].fields;
        for (std::size_t i = 0; i < fields.size(); ++i) {
            const bool is_json = fields[i].column == ColumnType::jsonb && !fields[i].array;
            if (is_json) check_json(work.packed[event.begin].fields[i].data);
        }
    }
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
        content.body = input.size() > 0 ? input.take_text(input.size()) : "\n";
        require(encoder.encode(header, content, nullptr, frame));
    }
    return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto catalog = std::make_shared<const Catalog>(packed_types());
    static MessageDecoder decoder(catalog, {3'650 * testing::kDayUs, 2 * testing::kDayUs});
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
    MessageWork work = decoder.open(std::move(pulled));
    work.origin = 1;
    work.reset();
    decoder.decode(work, testing::kNowUs);
    check(work);
    const std::vector<EventRow> rows = std::move(work.events);
    work.reset();
    decoder.decode(work, testing::kNowUs, MessageDecoder::Into::packs);
    check_packs(work, rows);
    check_json(work, *catalog);
    return 0;
}
