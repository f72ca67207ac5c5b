#include "publisher/tools/spool/inspection.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include <homeward/publisher.hpp>

#include <nlohmann/json.hpp>

#include "publisher/buffer/frame_log.hpp"
#include "publisher/buffer/lane.hpp"
#include "publisher/buffer/spool_usage.hpp"
#include "publisher/spool/find_runs.hpp"

namespace homeward {
namespace {

constexpr EventClass kClasses[] = {EventClass::audit, EventClass::metric};

const char* name_of(Run::Finding finding) {
    switch (finding) {
        case Run::Finding::left:
            return "left";
        case Run::Finding::alive:
            return "alive";
        case Run::Finding::none:
            return "none";
        case Run::Finding::damaged:
            return "damaged";
        case Run::Finding::newer:
            return "newer";
        case Run::Finding::unreadable:
            return "unreadable";
    }
    return "unknown";
}

void view_lane(const LaneMapping& lane, const FrameLog::Recovery& log, std::uint64_t number,
               ClassView& view) {
    const auto logged = log.tails.find(number);
    LaneReader reader(lane, logged == log.tails.end() ? nullptr : &logged->second);
    ++view.lanes;
    for (std::span<const std::byte> payload;;) {
        const std::uint64_t before = reader.position();
        const LaneReader::Outcome outcome = reader.read(payload);
        if (outcome == LaneReader::Outcome::empty) break;
        if (outcome == LaneReader::Outcome::record) ++view.lane_events;
        if (outcome == LaneReader::Outcome::damaged) {
            view.damaged_bytes += reader.position() - before;
        }
    }
    view.lost_events += reader.take_lost();
    if (reader.drops() > reader.drops_reported() && lane.event_class() == EventClass::metric) {
        view.lane_events += reader.drops() - reader.drops_reported();
    }
}

FrameLog::Recovery view_log(const Run& run, EventClass event_class, ClassView& view) {
    const auto directory = run.log_directory(event_class);
    if (!std::filesystem::exists(directory)) return {};
    FrameLog::Recovery log = FrameLog(directory, SIZE_MAX, false).recover();
    for (const LoggedFrame& frame : log.frames) {
        ++view.frames;
        view.frame_events += frame.seq_last - frame.seq_first + 1;
        view.frame_bytes += frame.bytes;
    }
    for (const SeqRange& lost : log.lost) view.lost_events += lost.last - lost.first + 1;
    view.damaged_bytes += log.damaged_bytes;
    return log;
}

double age_of(const std::filesystem::path& directory) {
    std::error_code ignored;
    auto newest = std::filesystem::last_write_time(directory, ignored);
    // What a process at work deletes meanwhile is no error.
    std::filesystem::recursive_directory_iterator entry(directory, ignored);
    for (; entry != std::filesystem::recursive_directory_iterator(); entry.increment(ignored)) {
        std::error_code gone;
        const auto written = std::filesystem::last_write_time(entry->path(), gone);
        if (!gone) newest = std::max(newest, written);
    }
    const auto age = std::filesystem::file_time_type::clock::now() - newest;
    return std::max(0.0, std::chrono::duration<double>(age).count());
}

RunView view_of(const Run::Found& found) {
    RunView view;
    view.directory = found.directory;
    view.finding = found.finding;
    view.note = explain(found);
    view.age_seconds = age_of(found.directory);
    view.disk_bytes = disk_bytes_of(found.directory);
    if (found.run == nullptr) return view;
    view.identity = found.run->identity();
    view.lane_bytes = disk_bytes_of(view.identity.lane_dir / view.identity.publisher.hex());
    view.possible_duplicates = found.run->is_interrupted() || !view.identity.successor_of.empty();
    Run::Lanes lanes;
    try {
        lanes = found.run->copy_lanes(view.lanes_unreadable);
        if (found.run->has_lost_lane_dir()) {
            view.note = "its lanes are not in " + view.identity.lane_dir.string() +
                        ": gone, or another container's";
        }
    } catch (const SetupError& error) {
        view.note = error.what();
    }
    for (std::size_t i = 0; i < 2; ++i) {
        try {
            const FrameLog::Recovery log = view_log(*found.run, kClasses[i], view.classes[i]);
            for (const auto& [number, lane] : lanes) {
                if (lane->event_class() == kClasses[i]) {
                    view_lane(*lane, log, number, view.classes[i]);
                }
            }
        } catch (const SetupError& error) {
            view.note = error.what();
        }
    }
    return view;
}

nlohmann::json json_of(const ClassView& view) {
    return {{"frames", view.frames},
            {"frame_events", view.frame_events},
            {"frame_bytes", view.frame_bytes},
            {"lanes", view.lanes},
            {"lane_events", view.lane_events},
            {"lost_events", view.lost_events},
            {"damaged_bytes", view.damaged_bytes}};
}

template <typename... Values>
void append(std::string& text, const char* format, Values... values) {
    char line[512];
    std::snprintf(line, sizeof line, format, values...);
    text += line;
}

void append_class(std::string& text, const char* name, const ClassView& view) {
    append(text,
           "  %-6s %8" PRIu64 " events in %zu frames (%" PRIu64 " bytes), %" PRIu64
           " in %zu lanes\n",
           name, view.frame_events, view.frames, view.frame_bytes, view.lane_events, view.lanes);
    if (view.damaged_bytes + view.lost_events > 0) {
        append(text, "         damage: %" PRIu64 " bytes, %" PRIu64 " events lost with them\n",
               view.damaged_bytes, view.lost_events);
    }
}

}  // namespace

std::uint64_t RunView::events() const {
    std::uint64_t sum = 0;
    for (const ClassView& view : classes) sum += view.frame_events + view.lane_events;
    return sum;
}

std::uint64_t RunView::lost_events() const {
    return classes[0].lost_events + classes[1].lost_events;
}

bool RunView::is_ended() const {
    return finding == Run::Finding::left && events() == 0 && lost_events() == 0 &&
           lanes_unreadable == 0;
}

SpoolView inspect_spool(const std::filesystem::path& spool) {
    SpoolView view;
    view.disk_bytes = disk_bytes_of(spool);
    for (const Run::Found& found : find_runs(spool, &Run::inspect)) {
        if (found.finding != Run::Finding::none) {
            view.runs.push_back(view_of(found));
        } else if (PublisherId::parse(found.directory.filename().string())) {
            ++view.unfinished;
        }
    }
    std::sort(view.runs.begin(), view.runs.end(),
              [](const auto& a, const auto& b) { return a.age_seconds > b.age_seconds; });
    for (const RunView& run : view.runs) {
        const std::uint64_t bound = run.identity.spool_bytes_max;
        if (bound != 0 && (view.bytes_max == 0 || bound < view.bytes_max)) view.bytes_max = bound;
    }
    return view;
}

namespace {

double mib(std::uint64_t bytes) {
    return static_cast<double>(bytes) / (1u << 20);
}

const char* state_of(const RunView& run) {
    if (run.finding == Run::Finding::alive) return "at work";
    return run.is_ended() ? "its process is gone, nothing is left to send" : "its process is gone";
}

void append_spool(std::string& text, const SpoolView& spool) {
    std::size_t ended = 0;
    for (const RunView& run : spool.runs) ended += run.is_ended() ? 1 : 0;
    append(text, "%zu publishers, %zu of them ended with nothing left to send; %.1f MiB on disk",
           spool.runs.size(), ended, mib(spool.disk_bytes));
    if (spool.bytes_max != 0) append(text, " of at most %.0f", mib(spool.bytes_max));
    text += "\n";
    if (spool.unfinished > 0) {
        append(text, "%zu directories are half made or half removed; a publisher removes them\n",
               spool.unfinished);
    }
}

}  // namespace

std::string to_text(const SpoolView& spool) {
    const std::vector<RunView>& runs = spool.runs;
    if (runs.empty() && spool.unfinished == 0) return "nothing is in this spool\n";
    std::string text;
    append_spool(text, spool);
    for (const RunView& run : runs) {
        if (!run.note.empty()) text += run.note + "\n";
        if (run.finding != Run::Finding::left && run.finding != Run::Finding::alive) continue;
        append(text, "publisher %s  %s/%s  %s, last wrote %.0f s ago\n",
               run.identity.publisher.hex().c_str(), run.identity.region.c_str(),
               run.identity.app.c_str(), state_of(run), run.age_seconds);
        append(text, "  %.1f MiB on disk, %.1f MiB of lanes in %s\n", mib(run.disk_bytes),
               mib(run.lane_bytes), run.identity.lane_dir.c_str());
        append_class(text, "audit", run.classes[0]);
        append_class(text, "metric", run.classes[1]);
        if (run.lanes_unreadable > 0) {
            append(text, "  %zu lanes cannot be read\n", run.lanes_unreadable);
        }
        if (run.possible_duplicates) {
            text +=
                "  the machine has restarted since: some of it may have been sent before, and "
                "will be declared so\n";
        }
    }
    return text;
}

std::string to_json(const SpoolView& spool) {
    nlohmann::json list = nlohmann::json::array();
    for (const RunView& run : spool.runs) {
        nlohmann::json one{{"directory", run.directory.string()},
                           {"state", name_of(run.finding)},
                           {"note", run.note},
                           {"age_seconds", run.age_seconds},
                           {"disk_bytes", run.disk_bytes}};
        if (run.finding == Run::Finding::left || run.finding == Run::Finding::alive) {
            one["publisher"] = run.identity.publisher.hex();
            one["region"] = run.identity.region;
            one["app"] = run.identity.app;
            one["durability"] = run.identity.synced ? "disk" : "process";
            one["successor_of"] = run.identity.successor_of;
            one["possible_duplicates"] = run.possible_duplicates;
            one["lanes_unreadable"] = run.lanes_unreadable;
            one["ended"] = run.is_ended();
            one["lane_dir"] = run.identity.lane_dir.string();
            one["lane_bytes"] = run.lane_bytes;
            one["events"] = run.events();
            one["audit"] = json_of(run.classes[0]);
            one["metric"] = json_of(run.classes[1]);
        }
        list.push_back(std::move(one));
    }
    nlohmann::json json{{"runs", list},
                        {"unfinished", spool.unfinished},
                        {"disk_bytes", spool.disk_bytes},
                        {"spool_bytes_max", nullptr}};
    if (spool.bytes_max != 0) json["spool_bytes_max"] = spool.bytes_max;
    return json.dump(2) + "\n";
}

}  // namespace homeward
