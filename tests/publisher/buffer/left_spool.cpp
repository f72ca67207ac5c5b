#include "tests/publisher/buffer/left_spool.hpp"

#include <charconv>
#include <fstream>

#include <nlohmann/json.hpp>

#include "publisher/send/origin.hpp"
#include "tests/support/process.hpp"

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kRingBytes = 64u << 10;
constexpr std::size_t kPaddingBytes = 200;
const Origin::Limits kLimits{64u << 10, 64u << 20, 10ms, false};

constexpr std::string_view kType = "audit";

std::string object_of(std::uint64_t n) {
    return R"({"actor":"user","action":"test","outcome":"allowed","resource":")" +
           std::to_string(n) + R"(","detail":{"pad":")" + std::string(kPaddingBytes, 'x') + "\"}}";
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
}

/// One line of a frame; returns how many seqs it covers.
std::uint64_t take_line(const std::string& line, Drained& drained) {
    auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) json = nlohmann::json::object();  // damage that no checksum showed
    if (json.value("type", "") == kTombstoneType) {
        drained.tombstones += json.at("count").get<std::uint64_t>();
        return json.at("count");
    }
    const std::string resource = json.value("resource", "");
    std::uint64_t n = 0;
    std::from_chars(resource.data(), resource.data() + resource.size(), n);
    const bool is_new = n != 0 && drained.events.insert(n).second;
    drained.is_orderly = drained.is_orderly && is_new;
    return 1;
}

void take_frame(std::span<const std::byte> frame, Drained& drained) {
    FrameDecoder decoder;
    FrameHeader header;
    std::string body;
    if (decoder.decode(frame, header, body) != FrameError::none) {
        drained.is_orderly = false;
        return;
    }
    if (header.seq_count == 0) {
        drained.is_closed = (header.flags & kFrameClosing) != 0;
        drained.accepted = header.accepted;
        return;
    }
    for (std::uint64_t seq = header.seq_first; seq <= header.seq_last(); ++seq) {
        const bool is_new = drained.seqs.insert(seq).second;
        drained.is_orderly = drained.is_orderly && is_new;
    }
    std::istringstream lines(body);
    std::uint64_t seq = header.seq_first;
    for (std::string line; std::getline(lines, line);) seq += take_line(line, drained);
    drained.is_orderly = drained.is_orderly && seq == header.seq_last() + 1;
}

void take_departures(Origin& origin, Drained& drained) {
    for (OutgoingFrame outgoing; origin.take_outgoing(outgoing);) {
        take_frame(*origin.read(outgoing), drained);
    }
}

}  // namespace

LeftSpool::LeftSpool(detail::LaneChecksum checksum) {
    identity_.publisher = PublisherId::random();
    identity_.region = "ams";
    identity_.app = "shop";
    identity_.lane_dir = dir_ / "lanes";
    auto run = Run::create(spool(), identity_);
    Origin origin(*run, EventClass::audit, kLimits);
    auto lane = LaneMapping::create(run->create_lane_file(0), EventClass::audit, kRingBytes,
                                    detail::LaneKind::own, checksum);
    origin.add_lane(0, &lane);
    detail::LaneWriter writer(lane.header(), lane.ring(), false);
    for (const std::size_t count : {200, 100, 3, 1, 4, 2}) {
        emit(writer, count);
        origin.drain(true);
        frame_events_max_ = std::max<std::uint64_t>(frame_events_max_, count);
        OutgoingFrame outgoing;
        if (!origin.take_outgoing(outgoing)) throw std::logic_error("nothing was cut");
        // The log writes a release down beside the frame after it; the last two stay unreleased.
        if (events_ > 304) continue;
        const auto frame = *origin.read(outgoing);
        released_frames_.emplace_back(reinterpret_cast<const char*>(frame.data()), frame.size());
        origin.release(outgoing);
        for (std::uint64_t seq = outgoing.frame.seq_first; seq <= outgoing.frame.seq_last; ++seq) {
            released_.insert(seq);
        }
    }
    waiting_begin_ = detail::kLaneHeaderBytes + lane.header()->head % kRingBytes;
    emit(writer, 5);
    waiting_end_ = detail::kLaneHeaderBytes + lane.header()->head % kRingBytes;

    identity_ = run->identity();
    identity_.process = "1 1";  // of another process than ours, and dead
    files_[run_file()] = identity_.to_json();
    files_[types_file()] = read_file(types_file());
    files_[directory() / "lock"] = "";
    files_[lane_file()] = read_file(lane_file());
    std::string log = read_file(log_file());
    log.resize((log.find_last_not_of('\0') + 1 + 7) / 8 * 8);
    files_[log_file()] = log;
}

void LeftSpool::restart_machine() {
    identity_.boot_id = "00000000-0000-4000-8000-000000000000";
    files_[run_file()] = identity_.to_json();
}

std::filesystem::path LeftSpool::lane_file() const {
    return dir_ / "lanes" / identity_.publisher.hex() / "lane-0";
}

void LeftSpool::emit(detail::LaneWriter& writer, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const std::string object = object_of(++events_);
        const std::size_t bytes = kRecordHeaderBytes + 2 + kType.size() + object.size();
        const bool fits = writer.append(bytes, [&](std::byte* at) {
            at = put_raw(put_raw(at, std::uint32_t{0}), detail::Clock::system_us());
            at = put_raw(at, static_cast<std::uint16_t>(kType.size()));
            std::memcpy(at, kType.data(), kType.size());
            std::memcpy(at + kType.size(), object.data(), object.size());
        });
        if (!fits) throw std::logic_error("the lane is full");
    }
}

void LeftSpool::put_back(const std::filesystem::path& changed, const std::string& bytes) const {
    std::filesystem::remove_all(spool());
    for (const auto& [path, original] : files_) {
        write_file(path, path == changed ? bytes : original);
    }
}

Drained drain(const std::filesystem::path& directory) {
    Drained drained;
    Run::Found found = Run::adopt(directory);
    if (found.finding != Run::Finding::left) return drained;
    drained.is_adopted = true;
    std::size_t damaged = 0;
    Origin origin(*found.run, EventClass::audit, kLimits);
    origin.recover_log("damaged");
    origin.recover_lanes(found.run->open_lanes(damaged));
    if (damaged > 0) origin.leave_open();
    for (int i = 0; i < 100 && !origin.finish(); ++i) take_departures(origin, drained);
    take_departures(origin, drained);
    return drained;
}

}  // namespace homeward::testing
