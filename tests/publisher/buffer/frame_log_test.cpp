// The frame log on a disk that refuses, and read again by a later process.
//
// Method: rename(), posix_fallocate(), fsync() and fdatasync() are defined here, over libc's. They
// make the real system call, note what was synced, and fail on demand.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include <homeward/publisher.hpp>

#include "publisher/buffer/frame_log.hpp"
#include "publisher/send/origin.hpp"
#include "tests/publisher/buffer/left_spool.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// errno that the call fails with, so many times; 0: it does not.
struct Fault {
    int error = 0;
    int times = 0;
    bool strikes() {
        if (error == 0 || times == 0) return false;
        --times;
        errno = error;
        return true;
    }
};
Fault rename_fault, allocate_fault, sync_fault;
std::set<std::string> synced;

int note_sync(int descriptor, long call) {
    if (sync_fault.strikes()) return -1;
    char path[4096] = {};
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    if (::readlink(link.c_str(), path, sizeof path - 1) > 0) synced.insert(path);
    return static_cast<int>(::syscall(call, descriptor));
}

}  // namespace

extern "C" int rename(const char* from, const char* to) noexcept {
    if (rename_fault.strikes()) return -1;
    return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

extern "C" int posix_fallocate(int descriptor, off_t offset, off_t bytes) {
    if (allocate_fault.strikes()) return errno;
    return ::syscall(SYS_fallocate, descriptor, 0, offset, bytes) == 0 ? 0 : errno;
}

extern "C" int fsync(int descriptor) {
    return note_sync(descriptor, SYS_fsync);
}

extern "C" int fdatasync(int descriptor) {
    return note_sync(descriptor, SYS_fdatasync);
}

namespace {

constexpr std::size_t kLogBytesMax = 64u << 20;

RunIdentity identity_in(const TempDir& dir) {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = "ams";
    identity.app = "shop";
    identity.lane_dir = dir / "lanes";
    return identity;
}

/// Frames of some seqs each, one after the other.
class Frames {
  public:
    FrameLog::Outcome append_to(FrameLog& log, std::uint64_t count, std::size_t body_bytes = 100) {
        FrameHeader header;
        header.event_class = EventClass::audit;
        header.seq_first = seq_next_;
        header.seq_count = header.line_count = static_cast<std::uint32_t>(count);
        header.accepted = header.seq_last();
        // Random text, or the frame would be too small to fill a segment with a few.
        std::string body;
        while (body.size() < body_bytes) body += PublisherId::random().hex();
        std::vector<std::byte> frame;
        FrameEncoder encoder;
        REQUIRE(encoder.encode(header, body + "\n", frame));
        const SeqRange seqs{header.seq_first, header.seq_last()};
        const FrameLog::Outcome outcome = log.append(seqs, {}, frame, last_);
        if (outcome == FrameLog::Outcome::logged) seq_next_ = seqs.last + 1;
        return outcome;
    }
    const LoggedFrame& last() const { return last_; }

  private:
    std::uint64_t seq_next_ = 1;
    LoggedFrame last_;
};

std::set<std::uint64_t> first_seqs(const FrameLog::Recovery& recovery) {
    std::set<std::uint64_t> seqs;
    for (const LoggedFrame& frame : recovery.frames) seqs.insert(frame.seq_first);
    return seqs;
}

std::size_t open_descriptors_in(const std::filesystem::path& directory) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code ignored;
        const auto target = std::filesystem::read_symlink(entry.path(), ignored);
        count += target.string().starts_with(directory.string()) ? 1 : 0;
    }
    return count;
}

}  // namespace

TEST_CASE("a tombstone that replaced a damaged frame is sent by the next start, too") {
    const TempDir dir;
    const auto identity = identity_in(dir);
    {
        const auto run = Run::create(dir / "spool", identity);
        Origin origin(*run, EventClass::audit, {64u << 10, kLogBytesMax, 10ms, false});
        auto lane =
            LaneMapping::create(run->create_lane_file(0), EventClass::audit, std::size_t{64} << 10);
        origin.add_lane(0, &lane);
        detail::LaneWriter writer(lane.header(), lane.ring(), false);
        const auto emit = [&] {
            const std::string event =
                R"(audit{"actor":"a","action":"b","outcome":"allowed","resource":"1"})";
            REQUIRE(writer.append(kRecordHeaderBytes + 2 + event.size(), [&](std::byte* at) {
                at = put_raw(put_raw(at, std::uint32_t{0}), std::int64_t{1});
                at = put_raw(at, std::uint16_t{5});
                std::memcpy(at, event.data(), event.size());
            }));
        };
        for (int i = 0; i < 7; ++i) emit();
        origin.drain(true);
        OutgoingFrame damaged;
        REQUIRE(origin.take_outgoing(damaged));
        origin.give_up(damaged);
        origin.drain(true);  // logs the tombstone
        emit();
        origin.drain(true);  // and writes down that the frame is replaced
        CHECK(origin.damaged() == 7);
        // The process ends here, and the stream has nothing of it.
    }
    const Drained drained = drain(dir / "spool" / identity.publisher.hex());
    CHECK(drained.is_orderly);
    CHECK(drained.is_closed);
    CHECK(drained.accepted == 8);
    CHECK(drained.seqs == std::set<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8});
    CHECK(drained.tombstones == 7);
}

TEST_CASE("seqs whose frame was replaced are lost if the tombstone for them is damaged as well") {
    const TempDir dir;
    LoggedFrame tombstone;
    {
        FrameLog log(dir / "log", kLogBytesMax, false);
        Frames frames;
        REQUIRE(frames.append_to(log, 5) == FrameLog::Outcome::logged);
        const LoggedFrame replaced = frames.last();
        Frames instead;
        REQUIRE(instead.append_to(log, 5) == FrameLog::Outcome::logged);
        tombstone = instead.last();
        log.replace(replaced);
        log.forget(replaced);
        REQUIRE(frames.append_to(log, 2) == FrameLog::Outcome::logged);
    }
    const auto path = dir / "log" / "log-00000001";
    CHECK(first_seqs(FrameLog(dir / "log", kLogBytesMax, false).recover()) ==
          std::set<std::uint64_t>{1, 6});
    const std::byte flipped[] = {std::byte{0xff}};
    File::open(path).write_at(tombstone.offset + 40, flipped);
    const auto recovery = FrameLog(dir / "log", kLogBytesMax, false).recover();
    CHECK(first_seqs(recovery) == std::set<std::uint64_t>{6});
    CHECK(recovery.lost == std::vector<SeqRange>{{1, 5}});
}

TEST_CASE("a full segment is used again on a full disk, also after that has failed a few times") {
    const TempDir dir;
    FrameLog log(dir / "log", kLogBytesMax, false);
    Frames frames;
    REQUIRE(frames.append_to(log, 1) == FrameLog::Outcome::logged);
    log.release(frames.last());
    log.forget(frames.last());
    allocate_fault = {ENOSPC, -1};
    rename_fault = {EIO, 5};
    int refused = 0;
    for (int i = 0; i < 100; ++i) {
        const auto outcome = frames.append_to(log, 1, 200u << 10);
        if (outcome != FrameLog::Outcome::logged) {
            CHECK(log.last_error() == EIO);
            ++refused;
            continue;
        }
        REQUIRE(log.read(frames.last())->size() == frames.last().bytes);
        log.release(frames.last());
        log.forget(frames.last());
    }
    allocate_fault = {};
    rename_fault = {};
    CHECK(refused == 5);
    const auto recovery = FrameLog(dir / "log", kLogBytesMax, false).recover();
    CHECK(recovery.lost.empty());
    CHECK(recovery.seq_next == frames.last().seq_last + 1);
}

TEST_CASE("where a whole segment has no space a small one is taken") {
    const TempDir dir;
    FrameLog log(dir / "log", kLogBytesMax, false);
    Frames frames;
    allocate_fault = {ENOSPC, 1};
    CHECK(frames.append_to(log, 1) == FrameLog::Outcome::logged);
    allocate_fault = {};
    CHECK(log.bytes() == kSmallSegmentBytes);
    for (int i = 0; i < 16; ++i) {
        CHECK(frames.append_to(log, 1, 200u << 10) == FrameLog::Outcome::logged);
    }
    CHECK(log.bytes() == kSmallSegmentBytes + kSegmentBytes);
}

TEST_CASE("durability disk syncs the names of its files, and says when that fails") {
    const TempDir dir;
    auto identity = identity_in(dir);
    identity.synced = true;
    synced.clear();
    const auto run = Run::create(dir / "spool", identity);
    CHECK(synced.contains(dir / "spool"));
    CHECK(synced.contains(run->directory()));
    const auto directory = run->log_directory(EventClass::audit);
    FrameLog log(directory, kLogBytesMax, true);
    synced.clear();
    Frames frames;
    REQUIRE(frames.append_to(log, 1) == FrameLog::Outcome::logged);
    CHECK(synced.contains(directory));
    CHECK(synced.contains(directory / "log-00000001"));
    sync_fault = {EIO, -1};
    CHECK(frames.append_to(log, 1) == FrameLog::Outcome::disk_error);
    CHECK(log.last_error() == EIO);
    FrameLog other(dir / "spool" / "other", kLogBytesMax, false);
    CHECK_THROWS_WITH(Run::create(dir / "spool", identity_in(dir)),
                      Catch::Matchers::Contains("cannot be synced"));
    sync_fault = {};
    CHECK(frames.append_to(log, 1) == FrameLog::Outcome::logged);
}

TEST_CASE("a log of many segments holds few descriptors, and gives back every frame") {
    const TempDir dir;
    std::vector<LoggedFrame> logged;
    {
        FrameLog log(dir / "log", kLogBytesMax, false);
        Frames frames;
        while (log.bytes() < kLogBytesMax) {
            REQUIRE(frames.append_to(log, 1, 200u << 10) == FrameLog::Outcome::logged);
            logged.push_back(frames.last());
        }
        for (const LoggedFrame& frame : logged) CHECK(log.read(frame)->size() == frame.bytes);
        CHECK(open_descriptors_in(dir.path()) <= 2);
        // Without a descriptor to be had nothing is damaged.
        const rlimit before = [] {
            rlimit limit{};
            ::getrlimit(RLIMIT_NOFILE, &limit);
            return limit;
        }();
        const rlimit none{0, before.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
        const auto read = log.read(logged.front());
        ::setrlimit(RLIMIT_NOFILE, &before);
        CHECK_FALSE(read.has_value());
    }
    FrameLog log(dir / "log", kLogBytesMax, false);
    const auto recovery = log.recover();
    REQUIRE(recovery.frames.size() == logged.size());
    for (const LoggedFrame& frame : recovery.frames) CHECK(log.read(frame)->size() == frame.bytes);
    CHECK(open_descriptors_in(dir.path()) <= 1);
}

TEST_CASE("recovery gives the disk what a segment has not used") {
    const TempDir dir;
    {
        FrameLog log(dir / "log", kLogBytesMax, false);
        Frames frames;
        REQUIRE(frames.append_to(log, 3) == FrameLog::Outcome::logged);
    }
    const auto path = dir / "log" / "log-00000001";
    CHECK(std::filesystem::file_size(path) == kSegmentBytes);
    FrameLog log(dir / "log", kLogBytesMax, false);
    const auto recovery = log.recover();
    CHECK(std::filesystem::file_size(path) == kSegmentBytes);  // who only looks changes nothing
    log.trim();
    CHECK(std::filesystem::file_size(path) < 4096);
    REQUIRE(recovery.frames.size() == 1);
    CHECK(log.read(recovery.frames[0])->size() == recovery.frames[0].bytes);
    CHECK(first_seqs(FrameLog(dir / "log", kLogBytesMax, false).recover()) ==
          std::set<std::uint64_t>{1});
}
