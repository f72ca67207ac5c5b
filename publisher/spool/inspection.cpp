#include "publisher/spool/inspection.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include <homeward/publisher.hpp>

#include <nlohmann/json.hpp>

#include "publisher/frame_log.hpp"
#include "publisher/lane.hpp"

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
    if (found.run == nullptr) return view;
    view.identity = found.run->identity();
    view.possible_duplicates = found.run->is_interrupted() || !view.identity.successor_of.empty();
    const auto lanes = found.run->copy_lanes(view.lanes_unreadable);
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

std::vector<RunView> inspect_spool(const std::filesystem::path& spool) {
    std::vector<RunView> runs;
    for (const Run::Found& found : find_runs(spool, &Run::inspect)) {
        if (found.finding != Run::Finding::none) runs.push_back(view_of(found));
    }
    std::sort(runs.begin(), runs.end(),
              [](const auto& a, const auto& b) { return a.age_seconds > b.age_seconds; });
    return runs;
}

std::string to_text(const std::vector<RunView>& runs) {
    if (runs.empty()) return "nothing is in this spool\n";
    std::string text;
    for (const RunView& run : runs) {
        if (!run.note.empty()) text += run.note + "\n";
        if (run.finding != Run::Finding::left && run.finding != Run::Finding::alive) continue;
        append(text, "publisher %s  %s/%s  %s, last wrote %.0f s ago\n",
               run.identity.publisher.hex().c_str(), run.identity.region.c_str(),
               run.identity.app.c_str(),
               run.finding == Run::Finding::alive ? "at work" : "its process is gone",
               run.age_seconds);
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

std::string to_json(const std::vector<RunView>& runs) {
    nlohmann::json list = nlohmann::json::array();
    for (const RunView& run : runs) {
        nlohmann::json one{{"directory", run.directory.string()},
                           {"state", name_of(run.finding)},
                           {"note", run.note},
                           {"age_seconds", run.age_seconds}};
        if (run.finding == Run::Finding::left || run.finding == Run::Finding::alive) {
            one["publisher"] = run.identity.publisher.hex();
            one["region"] = run.identity.region;
            one["app"] = run.identity.app;
            one["durability"] = run.identity.synced ? "disk" : "process";
            one["successor_of"] = run.identity.successor_of;
            one["possible_duplicates"] = run.possible_duplicates;
            one["lanes_unreadable"] = run.lanes_unreadable;
            one["events"] = run.events();
            one["audit"] = json_of(run.classes[0]);
            one["metric"] = json_of(run.classes[1]);
        }
        list.push_back(std::move(one));
    }
    return nlohmann::json{{"runs", list}}.dump(2) + "\n";
}

}  // namespace homeward
