// Lanes in memory, whose records have a stamp and no checksum of their payload: what a reader finds
// where the process that wrote them has died.

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/buffer/lane.hpp"
#include "schemas/wire/crc32c.hpp"
#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using detail::LaneChecksum;
using detail::LaneKind;

namespace {

constexpr std::size_t kRingBytes = 64u << 10;
constexpr std::size_t kPayloadBytes = 200;
constexpr std::size_t kSpan = detail::record_span(kPayloadBytes);

/// A lane's file, which another mapping finds as its writer has left it.
struct LaneFile {
    TempDir dir;
    LaneMapping create(LaneChecksum checksum = LaneChecksum::stamp) const {
        return LaneMapping::create(File::create(dir / "lane"), EventClass::audit, kRingBytes,
                                   LaneKind::own, checksum);
    }
    std::unique_ptr<LaneMapping> open() const {
        return LaneMapping::open(File::open(dir / "lane"));
    }
};

bool append(detail::LaneWriter& writer, std::uint64_t number) {
    return writer.append(kPayloadBytes, [&](std::byte* at) {
        std::memset(at, static_cast<int>(number), kPayloadBytes);
        std::memcpy(at, &number, sizeof number);
    });
}

/// The numbers of the records that a reader finds, in its order; each is checked to be whole.
std::vector<std::uint64_t> numbers_in(LaneReader& reader) {
    std::vector<std::uint64_t> numbers;
    std::span<const std::byte> payload;
    for (auto outcome = reader.read(payload); outcome != LaneReader::Outcome::empty;
         outcome = reader.read(payload)) {
        if (outcome != LaneReader::Outcome::record) continue;
        REQUIRE(payload.size() == kPayloadBytes);
        std::memcpy(&numbers.emplace_back(), payload.data(), sizeof(std::uint64_t));
        for (std::byte byte : payload.subspan(sizeof(std::uint64_t))) {
            REQUIRE(byte == static_cast<std::byte>(numbers.back()));
        }
    }
    return numbers;
}

std::vector<std::uint64_t> numbers_from(std::uint64_t first, std::uint64_t end) {
    std::vector<std::uint64_t> numbers;
    for (; first < end; ++first) numbers.push_back(first);
    return numbers;
}

}  // namespace

TEST_CASE("a lane in memory has stamps, one on a disk has checksums") {
    const LaneMapping anonymous =
        LaneMapping::create(File::anonymous("lane"), EventClass::audit, kRingBytes);
    CHECK(anonymous.checksum() == LaneChecksum::stamp);
    const TempDir dir;
    const File on_disk = File::create(dir / "probe");
    const LaneMapping named =
        LaneMapping::create(File::create(dir / "lane"), EventClass::audit, kRingBytes);
    CHECK(named.checksum() ==
          (on_disk.is_in_memory() ? LaneChecksum::stamp : LaneChecksum::crc32c));
    CHECK(LaneMapping::open(File::open(dir / "lane"))->checksum() == named.checksum());
    CHECK_FALSE(File::open("/proc/self/stat").is_in_memory());
}

TEST_CASE("a lane whose kind of check nobody knows is not read") {
    const LaneFile file;
    {
        const LaneMapping lane = file.create();
        auto& superblock = lane.header()->superblock;
        superblock.record_checksum = static_cast<LaneChecksum>(3);
        superblock.checksum = crc32c(std::as_bytes(std::span(&superblock, 1))
                                         .first(offsetof(detail::LaneSuperblock, checksum)));
        std::memcpy(reinterpret_cast<std::byte*>(lane.header()) + detail::kSecondSuperblockOffset,
                    &superblock, sizeof superblock);
    }
    CHECK(file.open() == nullptr);
}

TEST_CASE("a record's stamp is that of no other place, length or earlier lap") {
    const std::uint32_t stamp = detail::record_stamp(kSpan, kPayloadBytes);
    for (std::uint64_t lap = 1; lap < 70'000; ++lap) {
        const std::uint64_t later = kSpan + lap * kRingBytes;
        if (later >= std::uint64_t{64} << 30) break;
        REQUIRE(detail::record_stamp(later, kPayloadBytes) != stamp);
        REQUIRE(detail::record_stamp(later, kPayloadBytes) != ~stamp);
    }
    for (unsigned bit = 0; bit < 32; ++bit) {
        CHECK(detail::record_stamp(kSpan, kPayloadBytes ^ (std::size_t{1} << bit)) != stamp);
    }
    for (std::uint64_t position = 0; position < kRingBytes; position += detail::kRecordAlign) {
        REQUIRE(detail::stamped_prefix(position, 0) != 0);  // zeros are no record
    }
}

TEST_CASE("a record that was half written when its process died is not read, wherever it ends") {
    // Method: the ring has gone round, so that a whole record of the lap before lies behind the
    // head. A new one is written over it, byte for byte; at each the process could have died. The
    // reader must not believe the head, or else it would not even look there.
    const LaneFile file;
    const LaneMapping lane = file.create();
    detail::LaneWriter writer(lane.header(), lane.ring(), false);
    LaneReader living(lane);
    std::uint64_t number = 0;
    constexpr std::uint64_t kRecords = 2 * (kRingBytes / kSpan);
    for (; number < kRecords - 3; ++number) {
        REQUIRE(append(writer, number));
        numbers_in(living);
        living.release(0, 1);
    }
    for (; number < kRecords; ++number) REQUIRE(append(writer, number));
    const std::uint64_t head = lane.header()->head;
    const std::uint64_t records = lane.header()->records;
    std::byte* const at = lane.ring() + head % kRingBytes;
    const auto expected = numbers_from(kRecords - 3, kRecords);
    const bool is_head_known = GENERATE(true, false);
    for (std::size_t written = 0; written <= kPayloadBytes; ++written) {
        INFO(written << " bytes, and the head is " << (is_head_known ? "known" : "not"));
        if (written > 0) at[detail::kRecordPrefixBytes + written - 1] = std::byte{0xee};
        lane.header()->head = is_head_known ? head : std::uint64_t{1} << 40;
        lane.header()->records = is_head_known ? records : records + 1;
        const auto left = file.open();
        REQUIRE(left != nullptr);
        LaneReader reader(*left, nullptr);
        CHECK(numbers_in(reader) == expected);
    }
    // With its stamp it is whole: then it is read if the head, or the count, says that it is there.
    const std::uint64_t prefix = detail::stamped_prefix(head, kPayloadBytes);
    std::memset(at + detail::kRecordPrefixBytes, static_cast<int>(number), kPayloadBytes);
    std::memcpy(at + detail::kRecordPrefixBytes, &number, sizeof number);
    std::memcpy(at, &prefix, sizeof prefix);
    lane.header()->head = head + kSpan;
    lane.header()->records = records + 1;
    const auto left = file.open();
    LaneReader reader(*left, nullptr);
    CHECK(numbers_in(reader) == numbers_from(kRecords - 3, kRecords + 1));
}

TEST_CASE("a lane of either kind gives what a reader left in it, of its own lap alone") {
    const LaneChecksum checksum = GENERATE(LaneChecksum::crc32c, LaneChecksum::stamp);
    const LaneFile file;
    const LaneMapping lane = file.create(checksum);
    detail::LaneWriter writer(lane.header(), lane.ring(), false);
    LaneReader living(lane);
    std::uint64_t number = 0;
    for (int lap = 0; lap < 20; ++lap) {
        for (std::size_t i = 0; i < kRingBytes / kSpan / 2; ++i) {
            REQUIRE(append(writer, number++));
            numbers_in(living);
            living.release(0, 1);
        }
        const std::uint64_t first = number;
        for (int i = 0; i < 7; ++i) REQUIRE(append(writer, number++));
        lane.header()->head.fetch_add(1);  // no head that can be: all of the ring is searched
        const auto left = file.open();
        lane.header()->head.fetch_sub(1);
        REQUIRE(left->checksum() == checksum);
        LaneReader reader(*left, nullptr);
        CHECK(numbers_in(reader) == numbers_from(first, number));
        CHECK(reader.take_lost() == 0);
        numbers_in(living);
        living.release(0, 1);
    }
}

namespace {

/// What survives the death of the child, outside what is tested.
struct Journal {
    std::atomic<std::uint64_t> begun{0};
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> released{0};
};

/// Emits and drains in turns until it is killed.
[[noreturn]] void live_as_child(const LaneFile& file, Journal& journal) {
    ::alarm(60);
    const LaneMapping lane = file.create();
    detail::LaneWriter writer(lane.header(), lane.ring(), false);
    LaneReader reader(lane);
    for (std::uint64_t number = 0;;) {
        for (int i = 0; i < 20; ++i, ++number) {
            journal.begun = number + 1;
            if (!append(writer, number)) ::_exit(1);
            journal.accepted = number + 1;
        }
        std::span<const std::byte> payload;
        for (int i = 0; i < 19; ++i) static_cast<void>(reader.read(payload));
        reader.release(0, 1);
        journal.released = reader.records_read();
        if (number % 200 == 0) {
            while (reader.read(payload) == LaneReader::Outcome::record) continue;
            reader.release(0, 1);
            journal.released = reader.records_read();
        }
    }
}

}  // namespace

TEST_CASE("a lane in memory loses nothing when its process is killed at any moment") {
    void* memory =
        ::mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    std::mt19937_64 random(announced_seed());
    std::uint64_t accepted_in_all = 0;
    std::uint64_t unanswered = 0;
    const int rounds_max = rounds(200, 10'000);
    for (int round = 0; round < rounds_max; ++round) {
        const LaneFile file;
        auto& journal = *new (memory) Journal;
        const pid_t child = ::fork();
        if (child == 0) live_as_child(file, journal);
        while (journal.accepted == 0) ::usleep(50);
        ::usleep(static_cast<useconds_t>(random() % 2'000));
        REQUIRE(::kill(child, SIGKILL) == 0);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        const auto lane = file.open();
        REQUIRE(lane != nullptr);
        if (round % 2 == 1) lane->header()->head = UINT64_MAX;  // which the reader must not need
        LaneReader reader(*lane, nullptr);
        const std::vector<std::uint64_t> found = numbers_in(reader);
        const std::uint64_t end = found.empty() ? reader.records_read() : found.back() + 1;
        CHECK(end >= journal.accepted);
        CHECK(end <= journal.begun);
        CHECK(reader.records_read() == end);
        CHECK(found == numbers_from(end - found.size(), end));
        CHECK(end - found.size() >= journal.released);
        CHECK(reader.take_lost() == 0);
        accepted_in_all += journal.accepted;
        unanswered += end - journal.accepted;
    }
    std::printf("%d kills, %lu records accepted, %lu found of which no answer was seen\n",
                rounds_max, static_cast<unsigned long>(accepted_in_all),
                static_cast<unsigned long>(unanswered));
    CHECK(accepted_in_all > 0);
    ::munmap(memory, sizeof(Journal));
}
