// A shared lane's many producers and its one reader; and what a reader finds where producers were
// killed or have ended.

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/buffer/accepted_counts.hpp"
#include "publisher/buffer/lane.hpp"
#include "publisher/platform/process_membarrier.hpp"
#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using detail::SharedLaneWriter;

namespace {

constexpr std::size_t kRingBytes = 64u << 10;
constexpr std::uint64_t kThreads = 4;

LaneMapping make_lane(File file = File::anonymous("lane"),
                      detail::LaneChecksum checksum = detail::LaneChecksum::stamp) {
    return LaneMapping::create(std::move(file), EventClass::audit, kRingBytes,
                               detail::LaneKind::shared, checksum);
}

/// The n-th record of a thread; its length differs from the last one's.
struct Record {
    std::uint64_t thread;
    std::uint64_t number;
    std::size_t bytes() const { return sizeof *this + number * 7 % 150; }
    void write(std::byte* at) const {
        std::memset(at, static_cast<int>(number), bytes());
        std::memcpy(at, this, sizeof *this);
    }
};

bool append(SharedLaneWriter& writer, Record record, detail::SharedLaneSeat* seat) {
    return writer.append(
        record.bytes(), [&](std::byte* at) { record.write(at); }, seat);
}

/// Several that become visible together: as a RequestScope keeps them.
bool append_together(SharedLaneWriter& writer, std::uint64_t thread, std::uint64_t number,
                     std::uint64_t count, detail::SharedLaneSeat* seat) {
    std::vector<std::byte> spans;
    for (std::uint64_t i = 0; i < count; ++i) {
        const Record record{thread, number + i};
        const std::size_t start = spans.size();
        spans.resize(start + detail::record_span(record.bytes()));
        put_raw(spans.data() + start, static_cast<std::uint32_t>(record.bytes()));
        record.write(spans.data() + start + detail::kRecordPrefixBytes);
    }
    return writer.append(spans, count, seat);
}

/// How many of each thread came, each in its turn and whole.
struct Counted {
    std::array<std::uint64_t, kThreads> of_thread{};
    bool is_orderly = true;
    std::uint64_t lost = 0;

    void take(std::span<const std::byte> payload) {
        Record record{};
        std::memcpy(&record, payload.data(), sizeof record);
        std::vector<std::byte> right(record.bytes());
        record.write(right.data());
        const bool is_right =
            record.thread < kThreads && record.number == of_thread[record.thread] &&
            std::equal(right.begin(), right.end(), payload.begin(), payload.end());
        is_orderly = is_orderly && is_right;
        if (record.thread < kThreads) ++of_thread[record.thread];
    }
    void take_all(LaneReader& reader) {
        for (;;) {
            std::span<const std::byte> payload;
            const LaneReader::Outcome outcome = reader.read(payload);
            if (outcome == LaneReader::Outcome::record) take(payload);
            if (outcome == LaneReader::Outcome::empty) break;
        }
        lost += reader.take_lost();
    }
};

}  // namespace

TEST_CASE("a shared lane gives back what many threads wrote, each one's in its order") {
    const LaneMapping lane = make_lane();
    SharedLaneWriter writer(lane.header(), lane.ring());
    LaneReader reader(lane);
    constexpr std::uint64_t kRecords = 20'000;
    std::atomic<std::uint64_t> refused{0};
    std::vector<std::thread> threads;
    for (std::uint64_t thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            detail::SharedLaneSeat* seat = lane.seats()->take();
            for (std::uint64_t n = 0; n < kRecords;) {
                const std::uint64_t count = n % 50 == 0 ? 5 : 1;
                const bool fits = count == 1 ? append(writer, {thread, n}, seat)
                                             : append_together(writer, thread, n, count, seat);
                if (fits) {
                    n += count;
                } else {
                    ++refused;
                    std::this_thread::yield();
                }
            }
            lane.seats()->release(seat);
        });
    }
    Counted counted;
    std::uint64_t all = 0;
    while (all < kThreads * kRecords) {
        counted.take_all(reader);
        reader.release(0, 1);
        all = reader.records_read();
        std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(counted.is_orderly);
    CHECK(counted.lost == 0);
    CHECK(lane.header()->records == kThreads * kRecords);
    CHECK(lane.header()->begun == kThreads * kRecords);
    std::printf("%lu records refused meanwhile for want of room\n",
                static_cast<unsigned long>(refused));
}

TEST_CASE("a thread that is stopped in a shared lane delays the reader, and loses nothing") {
    const LaneMapping lane = make_lane();
    SharedLaneWriter writer(lane.header(), lane.ring());
    LaneReader reader(lane);
    detail::SharedLaneSeat* stopped = lane.seats()->take();
    const Record late{0, 0};
    const auto position = writer.reserve(detail::record_span(late.bytes()), 1, stopped);
    REQUIRE(position);
    REQUIRE(append(writer, {1, 0}, lane.seats()->take()));
    std::span<const std::byte> payload;
    CHECK(reader.read(payload) == LaneReader::Outcome::empty);
    std::byte* at = lane.ring() + *position + detail::kRecordPrefixBytes;
    late.write(at);
    writer.publish(*position, detail::record_prefix(lane.checksum(), *position, {at, late.bytes()}),
                   1, stopped);
    Counted counted;
    counted.take_all(reader);
    CHECK(counted.is_orderly);
    CHECK(reader.records_read() == 2);
}

TEST_CASE("a thread that ended within emit() holds nobody up in a shared lane") {
    const LaneMapping lane = make_lane();
    SharedLaneWriter writer(lane.header(), lane.ring());
    LaneReader reader(lane);
    for (int lap = 0; lap < 1'000; ++lap) {
        const auto n = static_cast<std::uint64_t>(lap);
        detail::SharedLaneSeat* ended = lane.seats()->take();
        REQUIRE(writer.reserve(detail::record_span(100 + n % 50), 1, ended));
        detail::SharedLaneSeat* living = lane.seats()->take();
        REQUIRE(append(writer, {1, n}, living));
        std::span<const std::byte> payload;
        CHECK(reader.read(payload) == LaneReader::Outcome::empty);
        lane.seats()->release(ended);
        while (reader.read(payload) == LaneReader::Outcome::damaged) {
        }
        CHECK(reader.records_read() == n + 1);
        CHECK(reader.take_lost() == 0);
        reader.release(0, 1);
        lane.seats()->release(living);
    }
}

TEST_CASE("records that become visible together in a shared lane are all there, or none") {
    // Method: the process ends between writing all but the first and publishing the first, and in
    // the other section just after.
    const TempDir dir;
    LaneMapping lane =
        make_lane(File::create(dir / "lane"),
                  GENERATE(detail::LaneChecksum::stamp, detail::LaneChecksum::crc32c));
    SharedLaneWriter writer(lane.header(), lane.ring());
    REQUIRE(append(writer, {0, 0}, nullptr));
    REQUIRE(append_together(writer, 1, 0, 10, nullptr));
    REQUIRE(append(writer, {0, 1}, nullptr));
    std::uint64_t expected = 10;
    SECTION("all") {}
    SECTION("none") {
        const std::uint64_t nothing = 0;
        std::memcpy(lane.ring() + detail::record_span(Record{0, 0}.bytes()), &nothing, 8);
        lane.header()->records -= 10;
        expected = 0;
    }
    const auto left = LaneMapping::open(File::open(dir / "lane"));
    REQUIRE(left != nullptr);
    LaneReader reader(*left, nullptr);
    Counted counted;
    counted.take_all(reader);
    CHECK(counted.is_orderly);
    CHECK(counted.of_thread[0] == 2);
    CHECK(counted.of_thread[1] == expected);
    CHECK(counted.lost == 0);
    CHECK(reader.adds_up());
}

TEST_CASE("a damaged record of a left shared lane is counted, and costs no other") {
    const TempDir dir;
    LaneMapping lane = make_lane(File::create(dir / "lane"), detail::LaneChecksum::crc32c);
    SharedLaneWriter writer(lane.header(), lane.ring());
    for (std::uint64_t n = 0; n < 10; ++n)
        REQUIRE(append(writer, {n < 5 ? 0u : 1u, n % 5}, nullptr));
    std::size_t offset = 0;
    for (std::uint64_t n = 0; n < 4; ++n) offset += detail::record_span(Record{0, n}.bytes());
    lane.ring()[offset + 20] ^= std::byte{1};  // the last of the first five
    const auto left = LaneMapping::open(File::open(dir / "lane"));
    LaneReader reader(*left, nullptr);
    Counted counted;
    counted.take_all(reader);
    CHECK(counted.of_thread[0] == 4);
    CHECK(counted.of_thread[1] == 5);
    CHECK(counted.lost == 1);
    CHECK(reader.adds_up());
}

namespace {

/// What survives the death of the child, outside what is tested.
struct Journal {
    std::array<std::atomic<std::uint64_t>, kThreads> begun{};
    std::array<std::atomic<std::uint64_t>, kThreads> accepted{};
    /// What the child's reader had read and released; the lane has the rest.
    std::array<std::atomic<std::uint64_t>, kThreads> released{};
    std::atomic<bool> is_orderly{true};
    std::atomic<int> threads_ready{0};
};

struct Files {
    TempDir dir;
    std::filesystem::path lane() const { return dir / "lane"; }
    std::filesystem::path counts() const { return dir / "accepted"; }
};

[[noreturn]] void live_as_child(const Files& files, Journal& journal,
                                detail::LaneChecksum checksum) {
    ::alarm(60);
    LaneMapping lane = make_lane(File::create(files.lane()), checksum);
    const auto counts = AcceptedCounts::create(File::create(files.counts()), 1);
    counts->cell(0)->event_class = 1;
    RecordGrant grant(lane.header(), counts->cell(0), true);
    SharedLaneWriter writer(lane.header(), lane.ring(), counts->cell(0));
    prepare_process_membarrier();
    for (std::uint64_t thread = 0; thread < kThreads; ++thread) {
        std::thread([&, thread] {
            detail::SharedLaneSeat* seat = lane.seats()->take();
            ++journal.threads_ready;
            for (std::uint64_t n = 0;;) {
                const std::uint64_t count = n % 20 == 0 ? 3 : 1;
                journal.begun[thread] = n + count;
                const detail::LaneUse use(writer);
                const bool fits = count == 1 ? append(writer, {thread, n}, seat)
                                             : append_together(writer, thread, n, count, seat);
                if (!fits) std::this_thread::yield();
                if (fits) journal.accepted[thread] = n += count;
            }
        }).detach();
    }
    LaneReader reader(lane);
    Counted counted;
    for (int turn = 0;; ++turn) {
        counted.take_all(reader);
        if (!counted.is_orderly) journal.is_orderly = false;
        reader.release(0, 1);
        for (std::uint64_t i = 0; i < kThreads; ++i) journal.released[i] = counted.of_thread[i];
        if (turn % 8 == 0 && grant.tend()) {
            process_membarrier();
            if (!writer.is_in_use()) grant.lower();
        }
    }
}

}  // namespace

TEST_CASE("a shared lane loses nothing when its process is killed at any moment") {
    // Method: four threads of a child write as fast as they can, single records and several at
    // once, while its reader reads, releases and tends the spool's count; SIGKILL after up to 10
    // ms; every other lane has stamps. What the child noted in shared memory judges what another
    // process finds in the lane.
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    void* memory =
        ::mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    std::mt19937_64 random(announced_seed());
    std::uint64_t accepted_in_all = 0;
    std::uint64_t holes = 0;
    const int rounds_max = rounds(60, 3'000);
    for (int round = 0; round < rounds_max; ++round) {
        const Files files;
        auto& journal = *new (memory) Journal;
        const pid_t child = ::fork();
        const auto checksum =
            round % 2 == 0 ? detail::LaneChecksum::stamp : detail::LaneChecksum::crc32c;
        if (child == 0) live_as_child(files, journal, checksum);
        while (journal.threads_ready < static_cast<int>(kThreads)) ::usleep(200);
        ::usleep(static_cast<useconds_t>(random() % 10'000));
        REQUIRE(::kill(child, SIGKILL) == 0);
        REQUIRE(::waitpid(child, nullptr, 0) == child);

        const auto lane = LaneMapping::open(File::open(files.lane()));
        REQUIRE(lane != nullptr);
        LaneReader reader(*lane, nullptr);
        Counted counted;
        for (std::uint64_t i = 0; i < kThreads; ++i) counted.of_thread[i] = journal.released[i];
        // The kill may have fallen between a release and its note: then more was released.
        std::span<const std::byte> payload;
        std::vector<Record> rest;
        for (auto outcome = reader.read(payload); outcome != LaneReader::Outcome::empty;
             outcome = reader.read(payload)) {
            Record record{};
            if (outcome == LaneReader::Outcome::record) {
                std::memcpy(&record, payload.data(), sizeof record);
                rest.push_back(record);
            } else {
                ++holes;
            }
        }
        bool is_orderly = journal.is_orderly;
        std::array<bool, kThreads> has_begun{};
        for (const Record& record : rest) {
            std::uint64_t& next = counted.of_thread[record.thread];
            if (!has_begun[record.thread]) next = std::max(next, record.number);
            has_begun[record.thread] = true;
            is_orderly = is_orderly && record.number == next;
            ++next;
        }
        CHECK(is_orderly);
        CHECK(reader.take_lost() == 0);
        CHECK(reader.adds_up());
        std::uint64_t accepted = 0;
        for (std::uint64_t i = 0; i < kThreads; ++i) {
            accepted += journal.accepted[i];
            if (has_begun[i]) CHECK(counted.of_thread[i] >= journal.accepted[i]);
            CHECK(counted.of_thread[i] <= journal.begun[i]);
        }
        CHECK(reader.records_read() >= accepted);
        const auto counts = AcceptedCounts::open(File::open(files.counts()));
        REQUIRE(counts != nullptr);
        const std::uint64_t count = detail::AcceptedCell::count_of(counts->cell(0)->records.load());
        CHECK(count >= reader.records_read());
        accepted_in_all += accepted;
    }
    std::printf("%d kills, %lu records accepted, %lu holes\n", rounds_max,
                static_cast<unsigned long>(accepted_in_all), static_cast<unsigned long>(holes));
    CHECK(accepted_in_all > 0);
    ::munmap(memory, sizeof(Journal));
}
