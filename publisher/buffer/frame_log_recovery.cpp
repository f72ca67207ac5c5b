#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include <homeward/publisher.hpp>
#include <homeward/record.hpp>

#include "publisher/buffer/frame_log.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward {
namespace {

template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

/// A frame's name, and the seqs that it covers.
struct NamedFrame {
    std::uint64_t segment;
    std::uint64_t offset;
    SeqRange seqs;
    auto operator<=>(const NamedFrame&) const = default;
};

NamedFrame name_of(const LoggedFrame& frame) {
    return {frame.segment, frame.offset, {frame.seq_first, frame.seq_last}};
}

/// The entry at `offset`, if there is a whole one.
std::optional<std::span<const std::byte>> entry_at(std::span<const std::byte> segment,
                                                   std::uint64_t number, std::size_t offset) {
    const auto rest = segment.subspan(offset);
    if (rest.size() < kLogEntryHeaderBytes || load<std::uint32_t>(rest, 0) != kLogMagic) {
        return std::nullopt;
    }
    const auto body_bytes = load<std::uint32_t>(rest, 8);
    if (body_bytes > kLogEntryBodyBytesMax || body_bytes > rest.size() - kLogEntryHeaderBytes)
        return std::nullopt;
    const auto checked = rest.subspan(8, 8 + body_bytes);
    if (load<std::uint32_t>(rest, 4) != log_entry_checksum(number, offset, checked)) {
        return std::nullopt;
    }
    return rest.first(kLogEntryHeaderBytes + body_bytes);
}

}  // namespace

/// What the segments say, one after the other.
struct FrameLog::Scan {
    Recovery recovery;                    // its frames: all that are whole
    std::vector<SeqRange> released_seqs;  // of a log of version 1
    std::vector<NamedFrame> released;
    std::vector<NamedFrame> replaced;
    std::vector<SeqRange> holes;            // between what stands next to each other
    std::optional<std::uint64_t> expected;  // the seq that must follow, if that is known

    void settle();
    void expect(std::uint64_t seq) {
        if (expected && seq > *expected) holes.push_back({*expected, seq - 1});
        // Frames that replace lost ones stand behind later ones, and lead nowhere.
        if (!expected || seq > *expected) expected = seq;
    }
    void take(const LoggedFrame& frame, const FrameHeader& header) {
        expect(frame.seq_first);
        if (frame.seq_last >= *expected) expected = frame.seq_last + 1;
        recovery.frames.push_back(frame);
        recovery.seq_next = std::max(recovery.seq_next, frame.seq_last + 1);
        recovery.accepted = std::max(recovery.accepted, header.accepted);
    }
    void take_note(LogEntryKind kind, std::span<const std::byte> body) {
        if (body.size() != 16 && body.size() != 32) return;
        const SeqRange seqs{load<std::uint64_t>(body, 0), load<std::uint64_t>(body, 8)};
        if (body.size() == 16) return released_seqs.push_back(seqs);
        auto& named = kind == LogEntryKind::release ? released : replaced;
        named.push_back({load<std::uint64_t>(body, 16), load<std::uint64_t>(body, 24), seqs});
    }
    void take_frame(std::span<const std::byte> body, std::uint64_t segment, std::size_t offset) {
        if (body.size() < 8) return;
        const auto lanes = load<std::uint32_t>(body, 0);
        const std::size_t tails_bytes = 8 + std::size_t{lanes} * sizeof(LaneTail);
        FrameHeader header;
        if (tails_bytes > body.size() ||
            FrameDecoder::decode_header(body.subspan(tails_bytes), header) != FrameError::none ||
            header.seq_count == 0) {
            return;
        }
        for (std::uint32_t i = 0; i < lanes; ++i) {
            const auto tail = load<LaneTail>(body, 8 + i * sizeof(LaneTail));
            recovery.tails[tail.lane] = tail;
        }
        take({header.seq_first, header.seq_last(), segment, offset + tails_bytes,
              body.size() - tails_bytes},
             header);
    }
};

namespace {

/// What is left of `range` without the others, which are sorted.
void subtract(SeqRange range, const std::vector<SeqRange>& others, std::vector<SeqRange>& left) {
    for (const SeqRange& other : others) {
        if (other.last < range.first) continue;
        if (other.first > range.last) break;
        if (other.first > range.first) left.push_back({range.first, other.first - 1});
        if (other.last >= range.last) return;
        range.first = other.last + 1;
    }
    left.push_back(range);
}

}  // namespace

/// Returns where its last whole entry ends.
std::size_t FrameLog::scan(std::uint64_t number, const File& file, Scan& scan) const {
    std::vector<std::byte> bytes(std::min(file.size(), kSegmentBytes));
    bytes.resize(file.read_at(0, bytes));
    std::size_t skipped = 0;
    std::size_t end = 0;
    for (std::size_t offset = 0; offset + kLogEntryHeaderBytes <= bytes.size();) {
        const auto entry = entry_at(bytes, number, offset);
        if (!entry) {
            offset += kLogEntryAlign;
            skipped += kLogEntryAlign;
            continue;
        }
        // What follows the last entry is only unused space.
        scan.recovery.damaged_bytes += std::exchange(skipped, 0);
        const auto kind = static_cast<LogEntryKind>((*entry)[12]);
        const auto body = entry->subspan(kLogEntryHeaderBytes);
        if (kind == LogEntryKind::release || kind == LogEntryKind::replaced) {
            scan.take_note(kind, body);
        } else if (kind == LogEntryKind::opening && body.size() == 8) {
            scan.expect(load<std::uint64_t>(body, 0));
        } else if (kind == LogEntryKind::frame) {
            scan.take_frame(body, number, offset + kLogEntryHeaderBytes);
        }
        offset += log_entry_span(body.size());
        end = std::min(offset, bytes.size());
    }
    // What is there behind it may be damaged frames, which a person may want to look at.
    const auto is_set = [](std::byte byte) { return byte != std::byte{0}; };
    const auto last = std::find_if(bytes.rbegin(), bytes.rend(), is_set);
    return std::max(end, static_cast<std::size_t>(bytes.rend() - last));
}

/// Takes from what was found what need not be sent, and tells what is nowhere.
void FrameLog::Scan::settle() {
    auto& frames = recovery.frames;
    for (auto* list : {&released, &replaced}) std::sort(list->begin(), list->end());
    std::sort(released_seqs.begin(), released_seqs.end());
    const auto is_in = [](const auto& sorted, const auto& value) {
        return std::binary_search(sorted.begin(), sorted.end(), value);
    };
    std::erase_if(frames,
                  [&](const LoggedFrame& frame) { return is_in(replaced, name_of(frame)); });
    // What is released, or will be sent, is not lost.
    std::vector<SeqRange> settled = released_seqs;
    for (const NamedFrame& frame : released) settled.push_back(frame.seqs);
    for (const LoggedFrame& frame : frames) settled.push_back({frame.seq_first, frame.seq_last});
    std::sort(settled.begin(), settled.end());
    for (const NamedFrame& frame : replaced) holes.push_back(frame.seqs);
    std::sort(holes.begin(), holes.end());
    holes.erase(std::unique(holes.begin(), holes.end()), holes.end());
    for (const SeqRange& hole : holes) subtract(hole, settled, recovery.lost);
    std::erase_if(frames, [&](const LoggedFrame& frame) {
        const NamedFrame name = name_of(frame);
        return is_in(released, name) || is_in(released_seqs, name.seqs);
    });
    // A frame and its tombstone, if the process ended between the two: the frame, which comes
    // first. The ledger skips it if the stream has the tombstone.
    const auto by_seq = [](const auto& a, const auto& b) { return a.seq_first < b.seq_first; };
    std::stable_sort(frames.begin(), frames.end(), by_seq);
    const auto same_seq = [](const auto& a, const auto& b) { return a.seq_first == b.seq_first; };
    frames.erase(std::unique(frames.begin(), frames.end(), same_seq), frames.end());
    recovery.seq_next = std::max(recovery.seq_next, expected.value_or(1));
}

FrameLog::Recovery FrameLog::recover() {
    Scan found;
    std::vector<std::uint64_t> numbers;
    for (const auto& path : entries_of(directory_)) {
        unsigned long long number = 0;
        if (std::sscanf(path.filename().c_str(), "log-%8llu", &number) == 1) {
            numbers.push_back(number);
        }
    }
    std::sort(numbers.begin(), numbers.end());
    if (!numbers.empty() && numbers.front() == 1) found.expected = 1;
    const std::lock_guard lock(mutex_);
    for (std::uint64_t number : numbers) {
        // A segment in between is gone because all of its frames were released.
        if (current_ != 0 && number != current_ + 1) found.expected.reset();
        const File file = File::open(segment_path(number));
        Segment& segment = segments_[number];
        segment.bytes = std::min(scan(number, file, found), file.size());
        current_ = number;
    }
    found.settle();
    for (const LoggedFrame& frame : found.recovery.frames) ++segments_.at(frame.segment).frames;
    return std::move(found.recovery);
}

void FrameLog::trim() noexcept {
    const std::lock_guard lock(mutex_);
    for (auto& [number, segment] : segments_) {
        if (number == current_ && file_ != nullptr) segment.bytes = room_ = used_;
        try {
            File file = File::open(segment_path(number));
            if (file.size() > segment.bytes) file.truncate(segment.bytes);
        } catch (const SetupError&) {
            // it keeps what it has
        }
    }
}

}  // namespace homeward
