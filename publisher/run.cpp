#include "publisher/run.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

#include <homeward/publisher.hpp>
#include <nlohmann/json.hpp>

namespace homeward {
namespace {

constexpr int kSpoolVersion = 1;

std::string this_process() { return std::to_string(::getpid()) + " " + process_start_time(); }

/// POSIX locks, unlike flock(), are not kept by a forked child that outlives us.
bool try_lock(const File& file) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return ::fcntl(file.descriptor(), F_SETLK, &lock) == 0;
}

void make_directory(const std::filesystem::path& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) {
        throw SetupError(path.string() + ": cannot be made: " + error.message() +
                         "; check spool_dir and its permissions");
    }
}

}  // namespace

std::string RunIdentity::to_json() const {
    return nlohmann::json{{"version", kSpoolVersion},
                          {"publisher", publisher.hex()},
                          {"region", region},
                          {"app", app},
                          {"boot_id", boot_id},
                          {"process", process},
                          {"lane_dir", lane_dir.string()}}
               .dump(4) +
           "\n";
}

std::optional<RunIdentity> RunIdentity::parse(std::string_view text) {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object() || json.value("version", 0) != kSpoolVersion) return std::nullopt;
    try {
        const auto publisher = PublisherId::parse(json.at("publisher").get<std::string>());
        if (!publisher) return std::nullopt;
        return RunIdentity{*publisher,
                           json.at("region").get<std::string>(),
                           json.at("app").get<std::string>(),
                           json.at("boot_id").get<std::string>(),
                           json.at("process").get<std::string>(),
                           json.at("lane_dir").get<std::string>()};
    } catch (const nlohmann::json::exception&) {
        return std::nullopt;
    }
}

std::unique_ptr<Run> Run::create(const std::filesystem::path& spool, RunIdentity identity) {
    identity.boot_id = machine_boot_id();
    identity.process = this_process();
    const std::filesystem::path directory =
        spool.empty() ? spool : spool / identity.publisher.hex();
    std::unique_ptr<Run> run(new Run(directory, std::move(identity)));
    if (directory.empty()) return run;
    make_directory(directory);
    make_directory(run->lanes_path());
    run->lock_ = File::create(directory / "lock");
    if (!try_lock(run->lock_)) {
        throw SetupError((directory / "lock").string() + ": cannot be locked: " +
                         std::strerror(errno));
    }
    run->types_ = File::create(directory / "types.jsonl");
    write_text_file(directory / "run.json", run->identity_.to_json());
    return run;
}

std::unique_ptr<Run> Run::inspect(const std::filesystem::path& directory) {
    auto identity = RunIdentity::parse(read_text_file(directory / "run.json"));
    if (!identity) return nullptr;
    std::unique_ptr<Run> run(new Run(directory, std::move(*identity)));
    run->read_types();
    return run;
}

std::unique_ptr<Run> Run::adopt(const std::filesystem::path& directory) {
    std::unique_ptr<Run> run = inspect(directory);
    // A process may lock again what it holds itself, so a sibling in this process must be told by
    // name; and the lock file must not even be opened: closing it would give up the sibling's lock.
    if (run == nullptr || run->identity_.process == this_process()) return nullptr;
    try {
        run->lock_ = File::open(directory / "lock");
    } catch (const SetupError&) {
        return nullptr;
    }
    return try_lock(run->lock_) ? std::move(run) : nullptr;
}

std::filesystem::path Run::lanes_path() const {
    return identity_.lane_dir / identity_.publisher.hex();
}

std::filesystem::path Run::log_directory(EventClass event_class) const {
    return directory_.empty() ? directory_ : directory_ / to_string(event_class);
}

File Run::create_lane_file(std::uint64_t number) const {
    if (directory_.empty()) return File::anonymous("homeward-lane");
    return File::create(lanes_path() / ("lane-" + std::to_string(number)));
}

std::map<std::uint64_t, std::unique_ptr<LaneMapping>> Run::open_lanes(std::size_t& damaged) const {
    std::map<std::uint64_t, std::unique_ptr<LaneMapping>> lanes;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(lanes_path(), error)) {
        unsigned long long number = 0;
        if (std::sscanf(entry.path().filename().c_str(), "lane-%llu", &number) != 1) continue;
        auto lane = LaneMapping::open(File::open(entry.path()));
        if (lane == nullptr) {
            ++damaged;
        } else {
            lanes.emplace(number, std::move(lane));
        }
    }
    return lanes;
}

bool Run::describe(const TypeDescriptor& descriptor) noexcept {
    try {
        const std::lock_guard lock(mutex_);
        if (described_.count(descriptor.hash) != 0) return true;
        auto owned = std::make_unique<OwnedDescriptor>(OwnedDescriptor::copy_of(descriptor));
        if (types_.is_open()) {
            const std::string line = owned->to_json() + "\n";
            const auto bytes = std::as_bytes(std::span<const char>(line));
            if (types_.write_at(types_bytes_, bytes) != 0) return false;
            types_bytes_ += line.size();
        }
        described_.emplace(descriptor.hash, std::move(owned));
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

const OwnedDescriptor* Run::find_type(std::uint32_t hash) const {
    const std::lock_guard lock(mutex_);
    const auto found = described_.find(hash);
    return found == described_.end() ? nullptr : found->second.get();
}

void Run::read_types() {
    std::istringstream lines(read_text_file(directory_ / "types.jsonl"));
    for (std::string line; std::getline(lines, line);) {
        auto descriptor = std::make_unique<OwnedDescriptor>();
        if (!OwnedDescriptor::parse(line, *descriptor)) continue;
        const std::uint32_t hash = descriptor->hash;
        described_[hash] = std::move(descriptor);
    }
}

void Run::remove() noexcept {
    if (directory_.empty()) return;
    std::error_code ignored;
    std::filesystem::remove_all(lanes_path(), ignored);
    // run.json goes first: a directory without it is no run and is never adopted by halves.
    std::filesystem::remove(directory_ / "run.json", ignored);
    std::filesystem::remove_all(directory_, ignored);
}

std::vector<std::unique_ptr<Run>> adopt_left_runs(const std::filesystem::path& spool) {
    std::vector<std::unique_ptr<Run>> runs;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(spool, error)) {
        if (auto run = Run::adopt(entry.path())) runs.push_back(std::move(run));
    }
    return runs;
}

}  // namespace homeward
