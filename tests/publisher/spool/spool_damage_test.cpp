// A dead process's spool with one file damaged: a bit flipped at every byte, and cut off at every
// byte. It opens, nothing but what was damaged is lost, and that is reported, to the event.

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "publisher/spool/find_runs.hpp"
#include "tests/publisher/buffer/left_spool.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace homeward;
using namespace homeward::testing;

namespace {

std::string flipped(std::string bytes, std::size_t at) {
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
    return bytes;
}

std::uint64_t count_lost(const LeftSpool& left, const Drained& drained) {
    std::uint64_t lost = 0;
    for (std::uint64_t n = 1; n <= left.events(); ++n) {
        lost += drained.events.count(n) == 0 && left.released().count(n) == 0 ? 1 : 0;
    }
    return lost;
}

/// Every seq is acknowledged or covered, and what is neither acknowledged nor brought is reported.
void expect_sum(const LeftSpool& left, const Drained& drained) {
    CHECK(drained.is_adopted);
    CHECK(drained.is_orderly);
    std::set<std::uint64_t> seqs = left.released();
    seqs.insert(drained.seqs.begin(), drained.seqs.end());
    CHECK(seqs.size() == left.events());
    CHECK(*seqs.rbegin() == left.events());
    CHECK(drained.accepted == left.events());
    CHECK(drained.is_closed);
    CHECK(drained.tombstones >= count_lost(left, drained));
}

/// All of a small range; of a large one what HOMEWARD_FULL does not ask for is stridden over.
std::size_t step_after(std::size_t at, std::size_t dense_begin, std::size_t dense_end) {
    const bool dense = at >= dense_begin && at < dense_end;
    return dense || std::getenv("HOMEWARD_FULL") != nullptr ? 1 : 127;
}

}  // namespace

TEST_CASE("a whole spool gives back every event under the seq it had") {
    const LeftSpool left;
    left.put_back();
    const Drained drained = drain(left.directory());
    expect_sum(left, drained);
    CHECK(drained.tombstones == 0);
    CHECK(count_lost(left, drained) == 0);
    CHECK(left.released().size() == 304);
}

TEST_CASE("a bit flipped at any byte of a frame log loses at most that frame, and reports it") {
    const LeftSpool left;
    const std::string& log = left.bytes_of(left.log_file());
    REQUIRE(log.size() > 500);
    std::uint64_t lost_most = 0;
    for (std::size_t at = 0; at < log.size(); ++at) {
        INFO("byte " << at << " of " << log.size());
        left.put_back(left.log_file(), flipped(log, at));
        const Drained drained = drain(left.directory());
        expect_sum(left, drained);
        const std::uint64_t lost = count_lost(left, drained);
        lost_most = std::max(lost_most, lost);
        CHECK(lost <= 4);  // the largest frame that was not acknowledged
    }
    CHECK(lost_most == 4);  // else no flip bit
}

TEST_CASE("a frame log that is cut off anywhere loses what was cut off, and reports it") {
    const LeftSpool left;
    const std::string& log = left.bytes_of(left.log_file());
    std::uint64_t lost_before = 6;  // in the two frames that were not acknowledged
    for (std::size_t size = 0; size < log.size(); ++size) {
        INFO("cut to " << size << " of " << log.size());
        left.put_back(left.log_file(), log.substr(0, size));
        const Drained drained = drain(left.directory());
        expect_sum(left, drained);
        const std::uint64_t lost = count_lost(left, drained);
        CHECK(lost <= lost_before);
        lost_before = lost;
    }
    CHECK(lost_before <= 2);
}

TEST_CASE("a bit flipped at any byte of a lane loses at most that event, and reports it") {
    const LeftSpool left;
    const std::string& lane = left.bytes_of(left.lane_file());
    REQUIRE(left.waiting_begin() < left.waiting_end());
    std::uint64_t lost_flips = 0;
    for (std::size_t at = 0; at < lane.size();
         at += at < 400 ? 1 : step_after(at, left.waiting_begin() - 32, left.waiting_end() + 32)) {
        INFO("byte " << at << " of " << lane.size() << ", waiting " << left.waiting_begin()
                     << " to " << left.waiting_end());
        left.put_back(left.lane_file(), flipped(lane, at));
        const Drained drained = drain(left.directory());
        const bool is_counter = at >= offsetof(detail::LaneHeader, records) &&
                                at < offsetof(detail::LaneHeader, records) + 8;
        // Without a sound count nobody can say that these were all; nothing is lost with it.
        CHECK((drained.is_closed || is_counter));
        if (drained.is_closed) expect_sum(left, drained);
        const std::uint64_t lost = count_lost(left, drained);
        CHECK(lost == drained.tombstones);
        CHECK(lost <= 1);
        lost_flips += lost;
    }
    CHECK(lost_flips > 5 * 200);  // nearly every byte of the five that waited
}

TEST_CASE("a bit flipped at any byte of a lane in memory costs no event but the one it is in") {
    // Such a lane's records have no checksum of their payload: the flipped event may come out
    // changed. What says where records lie is checked as in any other lane.
    const LeftSpool left(detail::LaneChecksum::stamp);
    const std::string& lane = left.bytes_of(left.lane_file());
    constexpr std::uint64_t kWaiting = 5;
    const std::uint64_t first = left.events() - kWaiting + 1;
    const std::size_t span = (left.waiting_end() - left.waiting_begin()) / kWaiting;
    std::uint64_t reported = 0;
    std::uint64_t hidden = 0;
    for (std::size_t at = 0; at < lane.size();
         at += at < 400 ? 1 : step_after(at, left.waiting_begin() - 32, left.waiting_end() + 32)) {
        INFO("byte " << at << " of " << lane.size() << ", waiting " << left.waiting_begin()
                     << " to " << left.waiting_end());
        left.put_back(left.lane_file(), flipped(lane, at));
        const Drained drained = drain(left.directory());
        const bool is_waiting = at >= left.waiting_begin() && at < left.waiting_end();
        const std::size_t place = is_waiting ? (at - left.waiting_begin()) % span : 0;
        const std::uint64_t hit = is_waiting ? first + (at - left.waiting_begin()) / span : 0;
        for (std::uint64_t n = first; n <= left.events(); ++n) {
            if (n != hit) CHECK(drained.events.count(n) == 1);
        }
        CHECK(drained.tombstones <= (is_waiting ? 1 : 0));
        if (is_waiting && place < detail::kRecordPrefixBytes) CHECK(drained.tombstones == 1);
        reported += drained.tombstones;
        hidden += is_waiting && drained.tombstones == 0 ? 1 : 0;
        // Every seq has an event or a tombstone, unless the count itself was damaged.
        if (drained.is_closed) CHECK(drained.seqs.size() + left.released().size() == left.events());
    }
    CHECK(reported >= kWaiting * detail::kRecordPrefixBytes);
    CHECK(hidden > 0);  // else there was a checksum
}

TEST_CASE("a lane that is cut off anywhere loses what was cut off, and never says less") {
    const LeftSpool left(GENERATE(detail::LaneChecksum::crc32c, detail::LaneChecksum::stamp));
    const std::string& lane = left.bytes_of(left.lane_file());
    for (std::size_t size = 0; size < lane.size();
         size += size < 400 ? 1 : step_after(size, left.waiting_begin(), left.waiting_end())) {
        INFO("cut to " << size << " of " << lane.size());
        left.put_back(left.lane_file(), lane.substr(0, size));
        const Drained drained = drain(left.directory());
        CHECK(drained.is_adopted);
        CHECK(drained.is_orderly);
        const std::uint64_t lost = count_lost(left, drained);
        CHECK(lost <= 5);
        // With the counters gone the origin stays open: nobody claims that this was all.
        if (drained.is_closed) expect_sum(left, drained);
        if (size >= detail::kLaneHeaderBytes) CHECK(drained.is_closed);
        if (size > left.waiting_end()) CHECK(lost == 0);
    }
}

TEST_CASE("a run.json with any bit flipped is left alone, and explained") {
    const LeftSpool left;
    const std::string& json = left.bytes_of(left.run_file());
    for (std::size_t at = 0; at < json.size(); ++at) {
        INFO("byte " << at);
        left.put_back(left.run_file(), flipped(json, at));
        const Run::Found found = Run::adopt(left.directory());
        // A blank for a blank is no damage; in the version it may look like a newer one's.
        if (found.finding == Run::Finding::left) {
            CHECK(found.run->identity().to_json() == json);
            continue;
        }
        CHECK((found.finding == Run::Finding::damaged || found.finding == Run::Finding::newer));
        CHECK(found.run == nullptr);
        CHECK(explain(found).find(left.directory().string()) != std::string::npos);
    }
    for (std::size_t size = 0; size + 2 < json.size(); ++size) {
        INFO("cut to " << size);
        left.put_back(left.run_file(), json.substr(0, size));
        const Run::Found found = Run::adopt(left.directory());
        CHECK(found.run == nullptr);
        CHECK_FALSE(explain(found).empty());
    }
}

TEST_CASE("a spool of a newer version is left alone, and its version named as the reason") {
    const LeftSpool left;
    std::string json = left.bytes_of(left.run_file());
    const std::size_t at = json.find("\"version\": 2");
    REQUIRE(at != std::string::npos);
    json.replace(at, 12, "\"version\": 3");
    left.put_back(left.run_file(), json);
    const Run::Found found = Run::adopt(left.directory());
    CHECK(found.finding == Run::Finding::newer);
    CHECK(explain(found).find("newer Homeward") != std::string::npos);
    CHECK(read_file(left.lane_file()) == left.bytes_of(left.lane_file()));
}

TEST_CASE("a bit flipped at any byte of types.jsonl costs no type") {
    static constexpr FieldDescriptor kFields[] = {{"actor", RecordKind::text},
                                                  {"count", RecordKind::integer}};
    const TypeDescriptor type{"sample", EventClass::audit, kFields,
                              descriptor_hash("sample", EventClass::audit, kFields)};
    const LeftSpool left;
    left.put_back();
    {
        const TempDir dir;
        RunIdentity identity = left.identity();
        identity.lane_dir = dir / "lanes";
        const auto run = Run::create(dir / "spool", identity);
        REQUIRE(run->describe(type));
        std::filesystem::copy_file(run->directory() / "types.jsonl", left.types_file(),
                                   std::filesystem::copy_options::overwrite_existing);
    }
    const std::string types = read_file(left.types_file());
    REQUIRE(types.size() > 100);
    for (std::size_t at = 0; at < types.size(); ++at) {
        INFO("byte " << at);
        std::ofstream(left.types_file(), std::ios::binary) << flipped(types, at);
        const Run::Found found = Run::adopt(left.directory());
        REQUIRE(found.run != nullptr);
        CHECK(found.run->find_type(type.hash) != nullptr);
    }
}
