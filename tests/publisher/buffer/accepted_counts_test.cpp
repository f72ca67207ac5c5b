// What a spool's count says of a lane whose process was killed: no less than what was accepted, and
// more by no more than what one interval accepted.
//
// Method: threads of a child write as fast as they can, four into a shared lane or one into its
// own, while its reader reads, releases and tends the grant every millisecond; SIGKILL after up to
// 20 ms. What the child noted in shared memory around each turn bounds the count that another
// process finds.

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>

#include "publisher/buffer/accepted_counts.hpp"
#include "publisher/buffer/lane.hpp"
#include "publisher/buffer/shared_lane.hpp"
#include "publisher/platform/process_membarrier.hpp"
#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using detail::LaneKind;

namespace {

constexpr std::size_t kRingBytes = 1u << 20;
constexpr std::size_t kRecordBytes = 100;

/// What survives the death of the child, outside what is tested.
struct Notes {
    std::atomic<int> threads_ready{0};
    /// Records before the last turn but one of the grant, or before an earlier one.
    std::atomic<std::uint64_t> before{0};
    /// What the count may be by each turn that has ended: twice what its interval accepted.
    std::atomic<std::uint64_t> highest{0};
};

struct Files {
    TempDir dir;
    std::filesystem::path lane() const { return dir / "lane"; }
    std::filesystem::path counts() const { return dir / "accepted"; }
};

/// Begun ones count in a shared lane.
std::uint64_t records_of(const LaneMapping& lane) {
    return lane.is_shared() ? lane.header()->begun : lane.header()->records;
}

template <typename Append>
void write_for_ever(detail::LaneWriter& writer, const Append& append) {
    const auto write = [](std::byte* at) { std::memset(at, 1, kRecordBytes); };
    for (;;) {
        const detail::LaneUse use(writer);
        if (!append(write)) std::this_thread::yield();
    }
}

void tend(RecordGrant& grant, const LaneMapping& lane, const detail::LaneWriter& writer,
          Notes& notes) {
    const std::uint64_t before = records_of(lane);
    const bool is_too_high = grant.tend();
    const std::uint64_t now = records_of(lane);
    notes.highest = std::max<std::uint64_t>(notes.highest, 2 * now - notes.before);
    notes.before = before;
    if (!is_too_high) return;
    process_membarrier();
    if (!writer.is_in_use()) grant.lower();
}

[[noreturn]] void live_as_child(const Files& files, LaneKind kind, Notes& notes) {
    ::alarm(60);
    LaneMapping lane = LaneMapping::create(File::create(files.lane()), EventClass::audit,
                                           kRingBytes, kind, detail::LaneChecksum::stamp);
    const auto counts = AcceptedCounts::create(File::create(files.counts()), 1);
    detail::AcceptedCell* cell = counts->cell(0);
    cell->event_class = 1;
    RecordGrant grant(lane.header(), cell, lane.is_shared());
    prepare_process_membarrier();
    detail::LaneWriter own(lane.header(), lane.ring(), false, cell);
    detail::SharedLaneWriter shared(lane.header(), lane.ring(), cell);
    for (int i = 0; i < (lane.is_shared() ? 4 : 1); ++i) {
        std::thread([&] {
            detail::SharedLaneSeat* seat = lane.is_shared() ? lane.seats()->take() : nullptr;
            ++notes.threads_ready;
            if (seat == nullptr) {
                write_for_ever(own, [&](auto write) { return own.append(kRecordBytes, write); });
            }
            write_for_ever(shared,
                           [&](auto write) { return shared.append(kRecordBytes, write, seat); });
        }).detach();
    }
    LaneReader reader(lane);
    for (;;) {
        ::usleep(1'000);
        std::span<const std::byte> payload;
        while (reader.read(payload) != LaneReader::Outcome::empty) {
        }
        reader.release(0, 1);
        tend(grant, lane, lane.is_shared() ? shared : own, notes);
    }
}

}  // namespace

TEST_CASE("a killed lane's count is not below what was accepted, nor above it by an interval's") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    void* memory =
        ::mmap(nullptr, sizeof(Notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    std::mt19937_64 random(announced_seed());
    const LaneKind kind = GENERATE(LaneKind::own, LaneKind::shared);
    const int threads = kind == LaneKind::shared ? 4 : 1;
    std::uint64_t excess = 0;
    const int rounds_max = rounds(60, 3'000);
    for (int round = 0; round < rounds_max; ++round) {
        const Files files;
        auto& notes = *new (memory) Notes;
        const pid_t child = ::fork();
        if (child == 0) live_as_child(files, kind, notes);
        while (notes.threads_ready < threads) ::usleep(200);
        ::usleep(static_cast<useconds_t>(random() % 20'000));
        REQUIRE(::kill(child, SIGKILL) == 0);
        REQUIRE(::waitpid(child, nullptr, 0) == child);

        const auto lane = LaneMapping::open(File::open(files.lane()));
        const auto counts = AcceptedCounts::open(File::open(files.counts()));
        REQUIRE((lane != nullptr && counts != nullptr));
        const std::uint64_t accepted = lane->header()->records;
        const std::uint64_t begun = records_of(*lane);
        const std::uint64_t count = detail::AcceptedCell::count_of(counts->cell(0)->records);
        CHECK(count >= accepted);
        // The kill may have met the grant's turn, or a record that was counted and not yet visible.
        CHECK(count <= std::max<std::uint64_t>(notes.highest, 2 * begun - notes.before) + 1);
        excess += count - accepted;
    }
    CHECK(excess > 0);
    std::printf("%d kills: %.1f records too many on average\n", rounds_max,
                static_cast<double>(excess) / rounds_max);
    ::munmap(memory, sizeof(Notes));
}
