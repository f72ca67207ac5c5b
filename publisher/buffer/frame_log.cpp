#include "publisher/buffer/frame_log.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <homeward/publisher.hpp>
#include <homeward/record.hpp>

#include "schemas/wire/crc32c.hpp"

namespace homeward {
std::uint32_t log_entry_checksum(std::uint64_t segment, std::uint64_t offset,
                                 std::span<const std::byte> from_length) {
    std::array<std::byte, 16> place;
    put_raw(put_raw(place.data(), segment), offset);
    return crc32c(from_length, crc32c(place));
}

FrameLog::FrameLog(std::filesystem::path directory, std::size_t bytes_max, bool sync,
                   std::shared_ptr<SpoolUsage> usage)
    : directory_(std::move(directory)),
      bytes_max_(bytes_max),
      sync_(sync),
      usage_(std::move(usage)) {
    if (directory_.empty()) return;
    make_directory(directory_);
    if (!is_real_directory(directory_)) {
        throw SetupError(directory_.string() + ": is a link and no directory; remove it");
    }
    const int error = sync_ ? sync_directory(directory_.parent_path()) : 0;
    if (error != 0) {
        throw SetupError(directory_.parent_path().string() +
                         ": cannot be synced: " + std::strerror(error));
    }
}

std::filesystem::path FrameLog::segment_path(std::uint64_t number) const {
    std::array<char, 32> name;
    std::snprintf(name.data(), name.size(), "log-%08llu", static_cast<unsigned long long>(number));
    return directory_ / name.data();
}

std::size_t FrameLog::bytes() const {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [number, segment] : segments_) sum += segment.bytes;
    return sum;
}

bool FrameLog::is_current_forgotten() const {
    const std::lock_guard lock(mutex_);
    const auto current = segments_.find(current_);
    return current != segments_.end() && current->second.frames == 0;
}

/// A segment without frames goes as soon as the next has its first.
bool FrameLog::is_room_for_segment() const {
    const std::lock_guard lock(mutex_);
    std::size_t staying = 0;
    for (const auto& [number, segment] : segments_) {
        if (number != current_ || segment.frames > 0) staying += segment.bytes;
    }
    return staying == 0 || staying + kSegmentBytes <= bytes_max_;
}

FrameLog::Outcome FrameLog::open_segment(std::size_t entry_bytes, std::uint64_t seq_next) {
    if (file_ != nullptr && used_ == 0) return begin_segment(seq_next);
    if (file_ != nullptr && used_ + entry_bytes <= room_) return Outcome::logged;
    last_error_ = 0;
    is_spool_full_ = false;
    if (!is_room_for_segment()) return Outcome::full;
    is_spool_full_ = usage_ != nullptr && !usage_->has_room(kSegmentBytes);
    if (is_spool_full_) return reuse_if_forgotten(seq_next, Outcome::full);
    last_error_ = make_segment(current_ + 1, kSegmentBytes);
    // Better a small one than none, on a disk that is nearly full.
    const std::size_t least = std::max(kSmallSegmentBytes, log_entry_span(8) + entry_bytes);
    if (last_error_ != 0) last_error_ = make_segment(current_ + 1, least);
    if (last_error_ == 0) return begin_segment(seq_next);
    return reuse_if_forgotten(seq_next, Outcome::disk_error);
}

FrameLog::Outcome FrameLog::reuse_if_forgotten(std::uint64_t seq_next, Outcome otherwise) {
    delete_forgotten_segments();
    const bool is_reusable = file_ != nullptr && !directory_.empty() && is_current_forgotten();
    return is_reusable ? reuse_segment(seq_next) : otherwise;
}

/// Returns errno; then nothing has changed.
int FrameLog::make_segment(std::uint64_t number, std::size_t bytes) {
    std::shared_ptr<File> file;
    try {
        file = std::make_shared<File>(directory_.empty() ? File::anonymous("homeward-log")
                                                         : File::create(segment_path(number)));
    } catch (const SetupError&) {
        return errno;
    }
    int error = directory_.empty() ? 0 : file->allocate(bytes);
    if (error == 0) error = sync_name();
    if (error != 0) {
        if (!directory_.empty()) ::unlink(segment_path(number).c_str());
        return error;
    }
    const std::lock_guard lock(mutex_);
    // Others open it again when they read it; what is anonymous cannot be.
    const auto before = segments_.find(current_);
    if (before != segments_.end() && !directory_.empty()) before->second.file.reset();
    segments_[number] = {file, bytes, 0};
    file_ = std::move(file);
    current_ = number;
    used_ = 0;
    room_ = bytes;
    return 0;
}

int FrameLog::sync_name() const {
    return sync_ && !directory_.empty() ? sync_directory(directory_) : 0;
}

/// Again, if the disk refused it the last time: a segment without it could not tell what is lost.
FrameLog::Outcome FrameLog::begin_segment(std::uint64_t seq_next) {
    last_error_ = write_opening(current_, seq_next);
    return last_error_ == 0 ? Outcome::logged : Outcome::disk_error;
}

/// On a full disk, or in a full spool, the one that is full becomes the next once nobody needs its
/// frames: waiting for space for another would be waiting for ever.
FrameLog::Outcome FrameLog::reuse_segment(std::uint64_t seq_next) {
    const std::uint64_t number = current_ + 1;
    // Under the old name all but the first entry are still good, under the new name only this one:
    // at any moment the highest seq stands in the log.
    last_error_ = write_opening(number, seq_next);
    if (last_error_ == 0 && sync_) last_error_ = file_->sync();
    if (last_error_ == 0 &&
        ::rename(segment_path(current_).c_str(), segment_path(number).c_str()) != 0) {
        last_error_ = errno;
    }
    if (last_error_ != 0) {
        used_ = room_;  // as before: the next append() tries it again
        return Outcome::disk_error;
    }
    {
        const std::lock_guard lock(mutex_);
        auto node = segments_.extract(current_);
        node.key() = number;
        segments_.insert(std::move(node));
        if (read_number_ == current_) read_file_.reset();
    }
    current_ = number;
    is_name_synced_ = false;
    return Outcome::logged;
}

int FrameLog::write_opening(std::uint64_t number, std::uint64_t seq_next) {
    std::array<std::byte, 8> opening;
    put_raw(opening.data(), seq_next);
    const int error = write_entry_at(number, 0, LogEntryKind::opening, opening);
    if (error == 0) used_ = log_entry_span(opening.size());
    return error;
}

void FrameLog::delete_forgotten_segments() {
    const std::lock_guard lock(mutex_);
    for (auto it = segments_.begin(); it != segments_.end();) {
        if (it->first == current_ || it->second.frames > 0) {
            ++it;
            continue;
        }
        if (!directory_.empty()) ::unlink(segment_path(it->first).c_str());
        if (read_number_ == it->first) read_file_.reset();
        it = segments_.erase(it);
    }
}

int FrameLog::write_entry(LogEntryKind kind, std::span<const std::byte> body) {
    assert(used_ + log_entry_span(body.size()) <= room_);
    const int error = write_entry_at(current_, used_, kind, body);
    if (error == 0) used_ += log_entry_span(body.size());
    return error;
}

int FrameLog::write_entry_at(std::uint64_t number, std::size_t offset, LogEntryKind kind,
                             std::span<const std::byte> body) {
    std::vector<std::byte>& entry = entry_;
    entry.assign(log_entry_span(body.size()), std::byte{0});
    put_raw(entry.data(), kLogMagic);
    put_raw(entry.data() + 8, static_cast<std::uint32_t>(body.size()));
    put_raw(entry.data() + 12, kind);
    std::copy(body.begin(), body.end(), entry.begin() + kLogEntryHeaderBytes);
    const auto checked = std::span(entry).subspan(8, 8 + body.size());
    put_raw(entry.data() + 4, log_entry_checksum(number, offset, checked));
    return file_->write_at(offset, entry);
}

void FrameLog::write_notes() {
    std::vector<Note> notes;
    {
        const std::lock_guard lock(mutex_);
        notes.swap(notes_);
    }
    // Only to spare a restarted publisher some sending; so an entry that finds no room is let go.
    for (const Note& note : notes) {
        std::array<std::byte, 32> body;
        if (used_ + log_entry_span(body.size()) > room_) return;
        std::byte* at = put_raw(put_raw(body.data(), note.frame.seq_first), note.frame.seq_last);
        put_raw(put_raw(at, note.frame.segment), std::uint64_t{note.frame.offset});
        if (write_entry(note.kind, body) != 0) return;
    }
}

FrameLog::Outcome FrameLog::append(SeqRange seqs, std::span<const LaneTail> tails,
                                   std::span<const std::byte> frame, LoggedFrame& logged) {
    const std::size_t tails_bytes = 8 + tails.size_bytes();
    const std::size_t entry_bytes = log_entry_span(tails_bytes + frame.size());
    assert(entry_bytes <= kSegmentBytes);
    const Outcome room = open_segment(entry_bytes, seqs.first);
    if (room != Outcome::logged) return room;
    if (!is_name_synced_) {
        last_error_ = sync_name();
        if (last_error_ != 0) return Outcome::disk_error;
        is_name_synced_ = true;
    }
    std::vector<std::byte> body(tails_bytes + frame.size());
    put_raw(body.data(), static_cast<std::uint32_t>(tails.size()));
    // Not memcpy(): of a dead run's damage there may be no tail, and no pointer to it.
    std::ranges::copy(std::as_bytes(tails), body.begin() + 8);
    std::ranges::copy(frame, body.begin() + static_cast<std::ptrdiff_t>(tails_bytes));
    const std::size_t offset = used_;
    last_error_ = write_entry(LogEntryKind::frame, body);
    if (last_error_ == 0 && sync_) last_error_ = file_->sync();
    if (last_error_ != 0) {
        used_ = offset;
        return Outcome::disk_error;
    }
    logged = {seqs.first, seqs.last, current_, offset + kLogEntryHeaderBytes + tails_bytes,
              frame.size()};
    {
        const std::lock_guard lock(mutex_);
        ++segments_.at(current_).frames;
    }
    // Not before the new segment holds a frame: the highest seq must always stand in the log.
    delete_forgotten_segments();
    write_notes();
    return Outcome::logged;
}

std::shared_ptr<File> FrameLog::open_for_reading(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    const auto found = segments_.find(number);
    if (found == segments_.end()) return nullptr;
    if (found->second.file != nullptr) return found->second.file;
    if (read_number_ != number || read_file_ == nullptr) {
        read_file_ = std::make_shared<File>(File::open(segment_path(number)));
        read_number_ = number;
    }
    return read_file_;
}

std::optional<std::vector<std::byte>> FrameLog::read(const LoggedFrame& frame) const {
    std::vector<std::byte> bytes(frame.bytes);
    try {
        const auto file = open_for_reading(frame.segment);
        const bool is_whole = file != nullptr && file->read_at(frame.offset, bytes) == bytes.size();
        if (!is_whole) bytes.clear();
    } catch (const SetupError&) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) return std::nullopt;
        bytes.clear();
    }
    return bytes;
}

void FrameLog::add_note(LogEntryKind kind, const LoggedFrame& frame) {
    const std::lock_guard lock(mutex_);
    if (segments_.contains(frame.segment)) notes_.push_back({kind, frame});
}

void FrameLog::release(const LoggedFrame& frame) {
    add_note(LogEntryKind::release, frame);
}

void FrameLog::replace(const LoggedFrame& frame) {
    add_note(LogEntryKind::replaced, frame);
}

void FrameLog::forget(const LoggedFrame& frame) {
    const std::lock_guard lock(mutex_);
    const auto found = segments_.find(frame.segment);
    if (found == segments_.end()) return;
    assert(found->second.frames > 0);
    --found->second.frames;
}

}  // namespace homeward
