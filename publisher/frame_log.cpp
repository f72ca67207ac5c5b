#include "publisher/frame_log.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <homeward/publisher.hpp>
#include <homeward/record.hpp>

#include "schemas/crc32c.hpp"
#include "schemas/frame.hpp"

namespace homeward {
namespace {

/// A frame and the tails of very many lanes; bounds what a damaged length makes us read.
constexpr std::size_t kEntryBodyBytesMax = 2 * kFrameBytesMax;

std::uint32_t entry_checksum(std::uint64_t segment, std::uint64_t offset,
                             std::span<const std::byte> from_length) {
    std::array<std::byte, 16> place;
    put_raw(put_raw(place.data(), segment), offset);
    return crc32c(from_length, crc32c(place));
}

template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

/// The entry at `offset`, if there is a whole one.
std::optional<std::span<const std::byte>> entry_at(std::span<const std::byte> segment,
                                                   std::uint64_t number, std::size_t offset) {
    const auto rest = segment.subspan(offset);
    if (rest.size() < kLogEntryHeaderBytes || load<std::uint32_t>(rest, 0) != kLogMagic) {
        return std::nullopt;
    }
    const auto body_bytes = load<std::uint32_t>(rest, 8);
    if (body_bytes > kEntryBodyBytesMax || body_bytes > rest.size() - kLogEntryHeaderBytes)
        return std::nullopt;
    const auto checked = rest.subspan(8, 8 + body_bytes);
    if (load<std::uint32_t>(rest, 4) != entry_checksum(number, offset, checked)) {
        return std::nullopt;
    }
    return rest.first(kLogEntryHeaderBytes + body_bytes);
}

}  // namespace

FrameLog::FrameLog(std::filesystem::path directory, std::size_t bytes_max, bool sync)
    : directory_(std::move(directory)), bytes_max_(bytes_max), sync_(sync) {
    if (directory_.empty()) return;
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error) throw SetupError(directory_.string() + ": cannot be made: " + error.message());
}

std::filesystem::path FrameLog::segment_path(std::uint64_t number) const {
    std::array<char, 32> name;
    std::snprintf(name.data(), name.size(), "log-%08llu", static_cast<unsigned long long>(number));
    return directory_ / name.data();
}

std::shared_ptr<FrameLog::Segment> FrameLog::find(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    const auto found = segments_.find(number);
    return found == segments_.end() ? nullptr : found->second;
}

std::size_t FrameLog::bytes() const {
    const std::lock_guard lock(mutex_);
    return segments_.size() * kSegmentBytes;
}

FrameLog::Outcome FrameLog::open_segment(std::size_t entry_bytes, std::uint64_t seq_next) {
    const auto current = find(current_);
    if (current != nullptr && current->used == 0) return begin_segment(seq_next);
    if (current != nullptr && current->used + entry_bytes <= kSegmentBytes) return Outcome::logged;
    {
        const std::lock_guard lock(mutex_);
        // A segment without unreleased frames goes as soon as the next has its first.
        const std::size_t leaving = current != nullptr && current->unreleased == 0 ? 1 : 0;
        const std::size_t staying = segments_.size() - leaving;
        if (staying > 0 && (staying + 1) * kSegmentBytes > bytes_max_) {
            last_error_ = 0;
            return Outcome::full;
        }
    }
    auto segment = std::make_shared<Segment>();
    try {
        segment->file = directory_.empty() ? File::anonymous("homeward-log")
                                           : File::create(segment_path(current_ + 1));
    } catch (const SetupError&) {
        last_error_ = errno;
        return Outcome::disk_error;
    }
    last_error_ = directory_.empty() ? 0 : segment->file.allocate(kSegmentBytes);
    if (last_error_ != 0) {
        std::error_code ignored;
        std::filesystem::remove(segment_path(current_ + 1), ignored);
        delete_released_segments();
        const bool is_released = current != nullptr && current->unreleased == 0;
        return is_released ? reuse_segment(seq_next) : Outcome::disk_error;
    }
    {
        const std::lock_guard lock(mutex_);
        segments_.emplace(++current_, std::move(segment));
    }
    return begin_segment(seq_next);
}

/// Again, if the disk refused it the last time: a segment without it could not tell what is lost.
FrameLog::Outcome FrameLog::begin_segment(std::uint64_t seq_next) {
    last_error_ = write_opening(seq_next);
    return last_error_ == 0 ? Outcome::logged : Outcome::disk_error;
}

/// On a full disk, the one that is full becomes the next once the stream has all of its frames:
/// waiting for space for another would be waiting for ever.
FrameLog::Outcome FrameLog::reuse_segment(std::uint64_t seq_next) {
    const auto before = segment_path(current_);
    std::shared_ptr<Segment> segment;
    {
        const std::lock_guard lock(mutex_);
        segment = segments_.extract(current_).mapped();
        segment->used = 0;
        segments_.emplace(++current_, segment);
    }
    // Under the old name all but the first entry are still good, under the new name only this one:
    // at any moment the highest seq stands in the log.
    last_error_ = write_opening(seq_next);
    if (last_error_ == 0 && ::rename(before.c_str(), segment_path(current_).c_str()) != 0) {
        last_error_ = errno;
    }
    if (last_error_ == 0) return Outcome::logged;
    segment->used = kSegmentBytes;  // tried again with the next number
    return Outcome::disk_error;
}

int FrameLog::write_opening(std::uint64_t seq_next) {
    std::array<std::byte, 8> opening;
    put_raw(opening.data(), seq_next);
    return write_entry(LogEntryKind::opening, opening);
}

void FrameLog::delete_released_segments() {
    const std::lock_guard lock(mutex_);
    for (auto it = segments_.begin(); it != segments_.end();) {
        if (it->first == current_ || it->second->unreleased > 0) {
            ++it;
            continue;
        }
        std::error_code ignored;
        if (!directory_.empty()) std::filesystem::remove(segment_path(it->first), ignored);
        it = segments_.erase(it);
    }
}

int FrameLog::write_entry(LogEntryKind kind, std::span<const std::byte> body) {
    const auto segment = find(current_);
    assert(segment != nullptr && segment->used + log_entry_span(body.size()) <= kSegmentBytes);
    std::vector<std::byte>& entry = entry_;
    entry.assign(log_entry_span(body.size()), std::byte{0});
    put_raw(entry.data(), kLogMagic);
    put_raw(entry.data() + 8, static_cast<std::uint32_t>(body.size()));
    put_raw(entry.data() + 12, kind);
    std::copy(body.begin(), body.end(), entry.begin() + kLogEntryHeaderBytes);
    const auto checked = std::span(entry).subspan(8, 8 + body.size());
    put_raw(entry.data() + 4, entry_checksum(current_, segment->used, checked));
    const int error = segment->file.write_at(segment->used, entry);
    if (error == 0) segment->used += entry.size();
    return error;
}

void FrameLog::write_releases() {
    std::vector<SeqRange> released;
    {
        const std::lock_guard lock(mutex_);
        released.swap(released_);
    }
    // Only to spare a restarted publisher some sending; so an entry that finds no room is let go.
    for (const SeqRange& seqs : released) {
        const auto segment = find(current_);
        if (segment == nullptr || segment->used + log_entry_span(16) > kSegmentBytes) return;
        std::array<std::byte, 16> body;
        put_raw(put_raw(body.data(), seqs.first), seqs.last);
        if (write_entry(LogEntryKind::release, body) != 0) return;
    }
}

FrameLog::Outcome FrameLog::append(SeqRange seqs, std::span<const LaneTail> tails,
                                   std::span<const std::byte> frame, LoggedFrame& logged) {
    const std::size_t tails_bytes = 8 + tails.size_bytes();
    const std::size_t entry_bytes = log_entry_span(tails_bytes + frame.size());
    assert(entry_bytes <= kSegmentBytes);
    const Outcome room = open_segment(entry_bytes, seqs.first);
    if (room != Outcome::logged) return room;
    const auto segment = find(current_);
    std::vector<std::byte> body(tails_bytes + frame.size());
    put_raw(body.data(), static_cast<std::uint32_t>(tails.size()));
    // Not memcpy(): of a dead run's damage there may be no tail, and no pointer to it.
    std::ranges::copy(std::as_bytes(tails), body.begin() + 8);
    std::ranges::copy(frame, body.begin() + static_cast<std::ptrdiff_t>(tails_bytes));
    const std::size_t offset = segment->used;
    last_error_ = write_entry(LogEntryKind::frame, body);
    if (last_error_ == 0 && sync_) last_error_ = segment->file.sync();
    if (last_error_ != 0) {
        segment->used = offset;
        return Outcome::disk_error;
    }
    logged = {seqs.first, seqs.last, current_, offset + kLogEntryHeaderBytes + tails_bytes,
              frame.size()};
    {
        const std::lock_guard lock(mutex_);
        ++segment->unreleased;
    }
    // Not before the new segment holds a frame: the highest seq must always stand in the log.
    delete_released_segments();
    write_releases();
    return Outcome::logged;
}

std::vector<std::byte> FrameLog::read(const LoggedFrame& frame) const {
    const auto segment = find(frame.segment);
    std::vector<std::byte> bytes(frame.bytes);
    if (segment == nullptr || segment->file.read_at(frame.offset, bytes) != bytes.size()) return {};
    return bytes;
}

void FrameLog::release(const LoggedFrame& frame) {
    const std::lock_guard lock(mutex_);
    const auto found = segments_.find(frame.segment);
    if (found == segments_.end()) return;
    assert(found->second->unreleased > 0);
    --found->second->unreleased;
    released_.push_back({frame.seq_first, frame.seq_last});
}

/// What the segments say, one after the other.
struct FrameLog::Scan {
    Recovery recovery;
    std::vector<SeqRange> released;
    std::vector<SeqRange> covered;          // by whole frames, released or not
    std::vector<SeqRange> holes;            // between what stands next to each other
    std::optional<std::uint64_t> expected;  // the seq that must follow, if that is known

    void expect(std::uint64_t seq) {
        if (expected && seq > *expected) holes.push_back({*expected, seq - 1});
        // Frames that replace lost ones stand behind later ones, and lead nowhere.
        if (!expected || seq > *expected) expected = seq;
    }
    void take(const LoggedFrame& frame, const FrameHeader& header) {
        expect(frame.seq_first);
        if (frame.seq_last >= *expected) expected = frame.seq_last + 1;
        covered.push_back({frame.seq_first, frame.seq_last});
        recovery.frames.push_back(frame);
        recovery.seq_next = std::max(recovery.seq_next, frame.seq_last + 1);
        recovery.accepted = std::max(recovery.accepted, header.accepted);
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

void FrameLog::scan(std::uint64_t number, const Segment& segment, Scan& scan) const {
    std::vector<std::byte> bytes(std::min(segment.file.size(), kSegmentBytes));
    bytes.resize(segment.file.read_at(0, bytes));
    std::size_t skipped = 0;
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
        if (kind == LogEntryKind::release && body.size() == 16) {
            scan.released.push_back({load<std::uint64_t>(body, 0), load<std::uint64_t>(body, 8)});
        } else if (kind == LogEntryKind::opening && body.size() == 8) {
            scan.expect(load<std::uint64_t>(body, 0));
        } else if (kind == LogEntryKind::frame) {
            scan.take_frame(body, number, offset + kLogEntryHeaderBytes);
        }
        offset += log_entry_span(body.size());
    }
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
    for (std::uint64_t number : numbers) {
        // A segment in between is gone because all of its frames were released.
        if (current_ != 0 && number != current_ + 1) found.expected.reset();
        auto segment = std::make_shared<Segment>();
        segment->file = File::open(segment_path(number));
        segment->used = kSegmentBytes;  // never appended to again
        scan(number, *segment, found);
        current_ = number;
        segments_.emplace(number, std::move(segment));
    }
    Recovery& recovery = found.recovery;
    const auto by_seq = [](const auto& a, const auto& b) { return a.seq_first < b.seq_first; };
    std::sort(found.released.begin(), found.released.end());
    std::erase_if(recovery.frames, [&](const LoggedFrame& frame) {
        return std::binary_search(found.released.begin(), found.released.end(),
                                  SeqRange{frame.seq_first, frame.seq_last});
    });
    std::sort(recovery.frames.begin(), recovery.frames.end(), by_seq);
    const auto same_seq = [](const auto& a, const auto& b) { return a.seq_first == b.seq_first; };
    recovery.frames.erase(std::unique(recovery.frames.begin(), recovery.frames.end(), same_seq),
                          recovery.frames.end());
    for (const LoggedFrame& frame : recovery.frames) ++segments_.at(frame.segment)->unreleased;
    auto& settled = found.covered;
    settled.insert(settled.end(), found.released.begin(), found.released.end());
    std::sort(settled.begin(), settled.end());
    for (const SeqRange& hole : found.holes) subtract(hole, settled, recovery.lost);
    recovery.seq_next = std::max(recovery.seq_next, found.expected.value_or(1));
    return recovery;
}

}  // namespace homeward
