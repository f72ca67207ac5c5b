#include "consumer/decode/frame_decoder.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "schemas/nats/subject.hpp"

namespace homeward::consumer {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// Calls `each(begin, end)` for every line that is not blank.
template <typename Each>
void for_each_line(std::string_view body, Each each) {
    for (std::size_t begin = 0; begin < body.size();) {
        const std::size_t end = std::min(body.find('\n', begin), body.size());
        if (!is_blank(body.substr(begin, end - begin))) each(begin, end);
        begin = end + 1;
    }
}

/// How many lines a plain message has, and how many of them look like an object of their own.
struct LineCounts {
    std::size_t all = 0;
    std::size_t objects = 0;
};
LineCounts count_lines(std::string_view body) {
    LineCounts counts;
    for_each_line(body, [&](std::size_t begin, std::size_t end) {
        std::string_view line = body.substr(begin, end - begin);
        while (is_blank(line.substr(line.size() - 1))) line.remove_suffix(1);
        counts.objects += line.front() == '{' && line.back() == '}' ? 1 : 0;
        ++counts.all;
    });
    return counts;
}

/// The tombstones of version 2, which stand before the body.
std::vector<Tombstone> tombstones_of(const FrameContent& content, std::uint64_t seq_first) {
    std::vector<Tombstone> tombstones;
    for (const FrameTombstone& one : content.tombstones) {
        const std::uint64_t first = seq_first + one.offset;
        tombstones.push_back({first, first + one.count - 1, one.reason});
    }
    return tombstones;
}

/// The last seq that an origin may have: at a million events a second it comes after 8.9 years. The
/// format allows up to 2^63, and a frame near that would claim as many events that never come.
constexpr std::uint64_t kSeqMax = std::uint64_t{1} << 48;

/// Empty for a frame that may be taken for what it says it is.
std::string refusal_of(FrameError error, const MessageWork& work) {
    if (error != FrameError::none) return std::string(explain(error));
    if (stream_kind(work.header.event_class) != work.pulled.stream->kind) {
        return "a frame of the other class than its stream";
    }
    if (work.header.seq_last() > kSeqMax || work.header.accepted > kSeqMax) {
        return "its seqs or its count lie beyond 2^48, where no publisher comes";
    }
    if (work.pulled.sender == FrameOrigin::unclaimed &&
        work.header.publisher.is_self_certifying()) {
        return std::string(explain(FrameOrigin::unsigned_frame));
    }
    return std::string(explain(work.pulled.sender));
}

/// Why a subject is none of the stream's.
std::string explain_subject(std::string_view subject, const Stream& stream) {
    const std::string expected = stream_subjects(stream.kind, stream.region);
    const std::string_view prefix = std::string_view(expected).substr(0, expected.size() - 1);
    std::string reason = "its subject " + std::string(subject);
    if (subject.substr(0, prefix.size()) != prefix) {
        return reason + " is none of the stream's; expected " + expected;
    }
    return reason + " ends with \"" + std::string(subject.substr(prefix.size())) +
           "\", which is no name of an app: 1 to 32 of a-z, 0-9, _ and -, not beginning with _ or "
           "-, so no capital letter and no dot";
}

void fill_from_header(MessageWork& work) {
    const bool is_heartbeat = (work.header.flags & kFrameCountOnly) != 0;
    work.kind = is_heartbeat ? MessageWork::Kind::heartbeat : MessageWork::Kind::frame;
    work.closing = (work.header.flags & kFrameClosing) != 0;
    work.seq_first = work.header.seq_first;
    work.seq_count = work.header.seq_count;
    work.accepted = work.header.accepted;
}

}  // namespace

/// Which seq the next line of a body has.
class MessageDecoder::SeqCursor {
  public:
    explicit SeqCursor(const MessageWork& work)
        : lost_(work.tombstones), seq_(work.seq_first), end_(work.seq_first + work.seq_count) {
        // In version 1 what the lines do not cover one by one is lost, by lines that say so.
        if (!work.is_plain() && work.header.version == 1 && work.header.line_count <= end_ - seq_) {
            announced_ = end_ - seq_ - work.header.line_count;
            may_lose_ = true;
        }
        skip_lost();
    }

    bool has_more() const { return seq_ < end_; }
    bool is_at_end() const { return seq_ == end_; }
    std::uint64_t seq() const { return seq_; }
    /// Whether a line may stand for so many seqs.
    bool may_lose(std::uint64_t count) const { return may_lose_ && count - 1 <= announced_; }
    void advance(std::uint64_t count) {
        announced_ -= std::min(announced_, count - 1);
        seq_ += count;
        skip_lost();
    }

  private:
    void skip_lost() {
        for (; next_ < lost_.size() && lost_[next_].seq_first == seq_; ++next_) {
            seq_ = lost_[next_].seq_last + 1;
        }
    }

    const std::vector<Tombstone> lost_;  // of version 2
    std::size_t next_ = 0;
    std::uint64_t seq_;
    std::uint64_t end_;
    std::uint64_t announced_ = 0;
    bool may_lose_ = false;
};

MessageDecoder::MessageDecoder(std::shared_ptr<const Catalog> catalog, EventDecoder::Limits limits)
    : catalog_(catalog), events_(std::move(catalog), limits) {}

MessageWork MessageDecoder::open(PulledMessage pulled) {
    MessageWork work;
    work.pulled = std::move(pulled);
    const auto data = work.pulled.message.data;
    const Stream& stream = *work.pulled.stream;
    // Whoever owns a leaf can make his stream take any subject.
    const auto subject = parse_subject(work.pulled.message.subject);
    if (!subject || subject->kind != stream.kind || subject->region != stream.region) {
        work.refuse(explain_subject(work.pulled.message.subject, stream));
        return work;
    }
    if (stream.kind == StreamKind::plain) {
        open_plain(work);
        return work;
    }
    const FrameError error = FrameDecoder::decode_header(data, work.header);
    if (error == FrameError::bad_version) {
        work.kind = MessageWork::Kind::newer_frame;
        work.state = MessageWork::State::returned;
        return work;
    }
    std::string refusal = refusal_of(error, work);
    if (refusal.empty()) {
        fill_from_header(work);
    } else {
        work.refuse(std::move(refusal));
    }
    return work;
}

bool MessageDecoder::open_frame(MessageWork& work) {
    if (FrameDecoder::decode_header(work.pulled.message.data, work.header) != FrameError::none) {
        return false;
    }
    fill_from_header(work);
    return true;
}

void MessageDecoder::open_plain(MessageWork& work) {
    work.kind = MessageWork::Kind::plain_lines;
    const std::string_view data = text_of(work.pulled.message.data);
    work.body.reserve(data.size() + EventDecoder::padding());
    work.body = data;
    // One event may well be spread over several lines, and some of these may look like events: then
    // the whole tells. No JSON text has a line end between `}` and `{`.
    const LineCounts lines = count_lines(data);
    const bool all_look_like_it = lines.objects == lines.all;
    if (lines.all > 1 && lines.objects > 0 && (all_look_like_it || !events_.is_json(work.body))) {
        work.seq_count = lines.all;
        return;
    }
    work.seq_count = 1;
    work.kind = MessageWork::Kind::plain_event;
    if (lines.all == 0) work.refusal = "an empty message";
}

void MessageDecoder::decode(MessageWork& work, std::int64_t now_us, Into into) {
    if (work.is_heartbeat()) return;
    if (!work.refusal.empty()) {
        work.dead.push_back({work.seq_first, false, "", work.refusal, "",
                             std::string(text_of(work.pulled.message.data))});
        return;
    }
    if (!work.is_plain() && !unpack(work)) return;
    if (work.is_columns) {
        decode_columns(work, now_us, into);
    } else {
        decode_lines(work, now_us);
    }
}

/// The content of a frame into its work. False: it is refused as a whole.
bool MessageDecoder::unpack(MessageWork& work) {
    FrameHeader header;
    content_.body.swap(work.body);
    content_.types.swap(work.types);
    const FrameError error =
        frames_.decode(work.pulled.message.data, header, content_, EventDecoder::padding());
    content_.body.swap(work.body);
    content_.types.swap(work.types);
    work.values_bytes = content_.values_bytes;
    work.is_columns = content_.body_kind == BodyKind::columns;
    if (error != FrameError::none) {
        refuse_whole(work, std::string(explain(error)),
                     std::string(text_of(work.pulled.message.data)));
        return false;
    }
    work.tombstones = tombstones_of(content_, work.seq_first);
    return true;
}

void MessageDecoder::decode_lines(MessageWork& work, std::int64_t now_us) {
    work.rows.reserve(work.body.size() + work.body.size() / 4);
    SeqCursor cursor(work);
    const auto decode_one = [&](std::size_t begin, std::size_t end) {
        decode_line(work, cursor, {begin, end}, now_us);
    };
    if (work.kind == MessageWork::Kind::plain_event) {
        decode_one(0, work.body.size());
    } else {
        for_each_line(work.body, decode_one);
    }
    if (cursor.is_at_end()) return;
    // The header promised other seqs than the body holds: no publisher of ours writes that.
    refuse_whole(work, "the frame's lines do not add up to the seqs of its header",
                 std::move(work.body));
}

void MessageDecoder::decode_line(MessageWork& work, SeqCursor& cursor, Range line,
                                 std::int64_t now_us) {
    if (!cursor.has_more()) return cursor.advance(1);
    const EventRow place{-1,
                         cursor.seq(),
                         static_cast<std::uint32_t>(work.rows.size()),
                         0,
                         static_cast<std::uint32_t>(line.begin),
                         static_cast<std::uint32_t>(line.end),
                         0};
    const std::string_view text = std::string_view(work.body).substr(line.begin, line.size());
    const EventOutcome outcome = events_.decode(
        text,
        {work.origin, static_cast<std::int64_t>(place.seq), work.pulled.message.delivery.time_us},
        now_us, work.rows);
    take_outcome(work, cursor, outcome, place, text);
}

void MessageDecoder::pack_blocks(MessageWork& work, std::int64_t now_us) {
    // A pack has its seqs as 32 bits from the first.
    if (work.seq_count > std::numeric_limits<std::int32_t>::max()) return;
    for (std::uint32_t block = 0; block < columns_.blocks(); ++block) {
        const auto first = static_cast<std::int32_t>(work.packed.size());
        if (columns_.pack(block, now_us, work.packed)) packed_[block] = first;
    }
}

/// Where in work.packed the next event of a block is; `at`: where the one before is.
std::uint32_t MessageDecoder::next_packed(const MessageWork& work, std::int32_t& at) {
    const PackedBlock& last = work.packed[static_cast<std::size_t>(at)];
    if (last.seqs.size() == last.events) ++at;
    return static_cast<std::uint32_t>(at);
}

void MessageDecoder::decode_columns(MessageWork& work, std::int64_t now_us, Into into) {
    if (!columns_.open(work)) {
        refuse_whole(work, "the frame's columns are not as its header and definitions say",
                     std::string(text_of(work.pulled.message.data)));
        return;
    }
    packed_.fill(-1);
    if (into == Into::packs) pack_blocks(work, now_us);
    // Rows take some twice what columns take, and memory is reserved once.
    if (work.packed.empty()) work.rows.reserve(2 * std::size_t{work.values_bytes});
    work.events.reserve(columns_.order().size());
    SeqCursor cursor(work);
    std::array<std::uint32_t, columns::kBlocksMax> next{};
    for (const char index : columns_.order()) {
        const auto block = static_cast<unsigned char>(index);
        const ColumnPlace at{block, next[block]++, cursor.seq()};
        if (packed_[block] >= 0) {
            const std::uint32_t packed = next_packed(work, packed_[block]);
            work.packed[packed].seqs.push_back(at.seq);
            work.events.push_back({columns_.type_of_block(block), at.seq, packed, packed, block,
                                   at.event, columns_.time_of(block, at.event)});
            cursor.advance(1);
            continue;
        }
        const EventRow place{-1, cursor.seq(), static_cast<std::uint32_t>(work.rows.size()),
                             0,  at.block,     at.event,
                             0};
        const EventOutcome outcome = columns_.decode(work, at, now_us, work.rows, line_);
        take_outcome(work, cursor, outcome, place, line_);
    }
}

void MessageDecoder::take_outcome(MessageWork& work, SeqCursor& cursor, const EventOutcome& outcome,
                                  EventRow place, std::string_view line) {
    switch (outcome.kind) {
        case EventOutcome::Kind::row:
            place.type = outcome.type;
            place.end = static_cast<std::uint32_t>(work.rows.size());
            place.time_us = outcome.time_us;
            work.events.push_back(place);
            break;
        case EventOutcome::Kind::tombstone:
            if (cursor.may_lose(outcome.count)) {
                work.tombstones.push_back(
                    {place.seq, place.seq + outcome.count - 1, outcome.reason});
                return cursor.advance(outcome.count);
            }
            // Whoever emits such an event must not destroy those of others.
            work.dead.push_back({place.seq, false, outcome.type_name,
                                 "a tombstone that covers no seqs of its sender", "",
                                 std::string(line)});
            break;
        case EventOutcome::Kind::unknown:
        case EventOutcome::Kind::bad:
            work.dead.push_back({place.seq, outcome.kind == EventOutcome::Kind::unknown,
                                 outcome.type_name, outcome.reason, "", std::string(line)});
            break;
    }
    cursor.advance(1);
}

/// One dead letter that holds it all, the rest of its seqs tombstones, so that nothing stays open.
/// The batch keeps no more of it.
void MessageDecoder::refuse_whole(MessageWork& work, std::string reason, std::string payload) {
    work.is_refused = true;
    std::string().swap(work.body);
    std::string().swap(work.types);
    std::string().swap(work.rows);
    work.events.clear();
    work.tombstones.clear();
    work.dead.clear();
    work.dead.push_back({work.seq_first, false, "", std::move(reason), "", std::move(payload)});
    if (work.seq_count > 1) {
        work.tombstones.push_back({work.seq_first + 1, work.seq_last(), "bad_body"});
    }
}

}  // namespace homeward::consumer
