#include "publisher/spool/run.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <thread>

#include <homeward/publisher.hpp>

namespace homeward {
namespace {

/// After the disk has refused a type.
constexpr std::chrono::milliseconds kDescribeAgainAfter{500};
constexpr const char* kRunFile = "run.json";
constexpr const char* kNonceFile = "nonce";
constexpr const char* kCountsFile = "accepted";
constexpr const char* kKeyFile = "key";
/// As often as others may be looking at a run that ends.
constexpr int kRemovalsMax = 100;
/// To make or to remove a run takes milliseconds; this is for a process that was stopped in it.
constexpr auto kUnfinishedAge = std::chrono::seconds(60);

std::string this_process() {
    return std::to_string(::getpid()) + " " + process_start_time();
}

/// Whether a run is of this user; for root, who drains spools of others, also of the one whose
/// spool it lies in. Nobody sends what a stranger has put there.
bool is_of_spools_owner(const std::filesystem::path& directory) {
    struct stat run {};
    struct stat spool {};
    if (::lstat(directory.c_str(), &run) != 0) return false;
    if (run.st_uid == ::geteuid()) return true;
    return ::geteuid() == 0 && ::stat(directory.parent_path().c_str(), &spool) == 0 &&
           run.st_uid == spool.st_uid;
}

}  // namespace

std::unique_ptr<Run> Run::create(const std::filesystem::path& spool, RunIdentity identity,
                                 std::optional<SigningKey> key, bool is_synced_later) {
    if (key) identity.publisher = key->publisher();
    identity.boot_id = machine_boot_id();
    identity.process = this_process();
    identity.lane_nonce = PublisherId::random().hex();
    const std::filesystem::path directory =
        spool.empty() ? spool : spool / identity.publisher.hex();
    std::unique_ptr<Run> run(new Run(directory, std::move(identity)));
    run->key_ = std::move(key);
    if (directory.empty()) return run;
    try {
        run->make(!is_synced_later || run->identity_.synced);
    } catch (const SetupError&) {
        run->remove();
        throw;
    }
    return run;
}

void Run::make(bool is_synced) {
    make_directory(directory_);
    if (is_private_directory(identity_.lane_dir)) {
        identity_.lane_dir =
            make_in_private_directory(identity_.lane_dir, identity_.publisher.hex());
    } else {
        make_directory(lanes_path());
    }
    write_text_file(lanes_path() / kNonceFile, identity_.lane_nonce, is_synced);
    File::create(directory_ / "lock");
    lock_ = RunLock::take(directory_);
    if (lock_ == nullptr) throw SetupError(directory_.string() + ": cannot be locked");
    types_ = File::create(directory_ / "types.jsonl");
    if (key_) {
        const SigningKey::Seed seed = key_->seed();
        write_text_file(directory_ / kKeyFile,
                        {reinterpret_cast<const char*>(seed.data()), seed.size()}, is_synced);
    }
    write_text_file(directory_ / kRunFile, identity_.to_json(), is_synced);
    if (!identity_.synced) return;
    for (const auto& path : {directory_, directory_.parent_path()}) {
        const int error = sync_directory(path);
        if (error == 0) continue;
        throw SetupError(path.string() + ": cannot be synced: " + std::strerror(error) +
                         "; durability \"disk\" needs that");
    }
}

void Run::sync_files() const noexcept {
    if (directory_.empty()) return;
    for (const auto& path :
         {lanes_path() / kNonceFile, directory_ / kKeyFile, directory_ / kRunFile}) {
        try {
            File::open(path).sync();
        } catch (const std::exception&) {
            // A power cut loses it then, with what "process" does not promise.
        }
    }
}

Run::Found Run::read(const std::filesystem::path& directory) {
    Found found{directory, Finding::none, nullptr};
    std::error_code error;
    const auto there = std::filesystem::symlink_status(directory / kRunFile, error).type();
    if (there == std::filesystem::file_type::not_found) return found;
    found.finding = Finding::unreadable;
    if (there != std::filesystem::file_type::regular || !is_of_spools_owner(directory)) {
        return found;
    }
    RunIdentity identity;
    switch (RunIdentity::parse(read_text_file(directory / kRunFile), identity)) {
        case RunIdentity::Parsed::none:
            found.finding = Finding::unreadable;
            break;
        case RunIdentity::Parsed::damaged:
            found.finding = Finding::damaged;
            break;
        case RunIdentity::Parsed::newer:
            found.finding = Finding::newer;
            break;
        case RunIdentity::Parsed::whole:
            // The directory is named after the publisher: that tells a flipped bit in either.
            if (directory.filename() != identity.publisher.hex()) {
                found.finding = Finding::damaged;
                break;
            }
            found.finding = Finding::left;
            found.run.reset(new Run(directory, std::move(identity)));
            if (!found.run->read_key()) {
                found.run.reset();
                found.finding = Finding::damaged;
                break;
            }
            found.run->read_types();
            found.run->read_counts();
    }
    return found;
}

Run::Found Run::adopt(const std::filesystem::path& directory) {
    Found found = read(directory);
    if (found.run == nullptr) return found;
    try {
        found.run->lock_ = RunLock::take(directory);
        if (found.run->lock_ == nullptr) found.finding = Finding::alive;
    } catch (const SetupError&) {
        found.finding = Finding::unreadable;
        found.run.reset();
    }
    // Whoever had the lock until now may have removed the run: run.json first, its lock last.
    std::error_code error;
    if (found.finding != Finding::alive && !std::filesystem::exists(directory / kRunFile, error)) {
        return {directory, Finding::none, nullptr};
    }
    return found;
}

bool Run::remove_unfinished(const std::filesystem::path& directory,
                            const std::filesystem::path& lane_dir) {
    std::error_code error;
    const auto type = std::filesystem::symlink_status(directory / kRunFile, error).type();
    if (type != std::filesystem::file_type::not_found) return false;
    const auto changed = std::filesystem::last_write_time(directory, error);
    const auto age = std::filesystem::file_time_type::clock::now() - changed;
    if (error || age < kUnfinishedAge || !is_of_spools_owner(directory)) return false;
    std::unique_ptr<RunLock> lock;
    if (std::filesystem::exists(directory / "lock", error)) {
        try {
            lock = RunLock::take(directory);
        } catch (const SetupError&) {
            return false;
        }
        if (lock == nullptr) return false;
    }
    // Under the lock: run.json is written before it is given up.
    if (std::filesystem::exists(directory / kRunFile, error)) return false;
    if (!lane_dir.empty()) {
        std::filesystem::remove_all(lane_dir / directory.filename(), error);
    }
    std::filesystem::remove_all(directory, error);
    return !error;
}

Run::Found Run::inspect(const std::filesystem::path& directory) {
    Found found = read(directory);
    if (found.run != nullptr && RunLock::is_taken(directory)) found.finding = Finding::alive;
    return found;
}

bool Run::is_interrupted() const {
    return !identity_.synced && identity_.boot_id != machine_boot_id();
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

void Run::remove_lane_file(std::uint64_t number) const noexcept {
    if (directory_.empty()) return;
    std::error_code ignored;
    std::filesystem::remove(lanes_path() / ("lane-" + std::to_string(number)), ignored);
}

std::size_t Run::lane_bytes_available() const noexcept {
    struct statvfs status {};
    if (directory_.empty() || ::statvfs(lanes_path().c_str(), &status) != 0) return SIZE_MAX;
    if (status.f_blocks == 0) return SIZE_MAX;  // a tmpfs without a limit
    return status.f_bavail * status.f_frsize;
}

std::string Run::lanes_place() const {
    return directory_.empty() ? "memory" : identity_.lane_dir.string();
}

void Run::count_lanes(std::size_t lanes) {
    if (directory_.empty()) return;
    counts_ = AcceptedCounts::create(File::create(directory_ / kCountsFile), lanes);
    is_counting_ = true;
}

void Run::read_counts() {
    try {
        counts_ = AcceptedCounts::open(File::open(directory_ / kCountsFile));
    } catch (const SetupError&) {
        // a run of version 1: nobody counted
    }
}

detail::AcceptedCell* Run::accepted_cell(std::uint64_t lane, EventClass event_class) const {
    detail::AcceptedCell* cell = is_counting_ ? counts_->cell(lane) : nullptr;
    if (cell != nullptr) cell->event_class = static_cast<std::uint32_t>(event_class);
    return cell;
}

bool Run::keep_accepted_counts() const noexcept {
    if (!is_counting_ || counts_->prefault()) return true;
    counts_->declare_unknown();
    is_counting_ = false;
    return false;
}

Run::LostLanes Run::lost_lanes(EventClass event_class,
                               const std::vector<std::uint64_t>& found) const {
    LostLanes lost;
    if (counts_ == nullptr) {
        lost.any = has_lost_lane_dir();
        return lost;
    }
    std::uint64_t accepted = 0;
    for (std::size_t lane = 0; lane < counts_->size(); ++lane) {
        const detail::AcceptedCell& cell = *counts_->cell(lane);
        if (cell.event_class != static_cast<std::uint32_t>(event_class)) continue;
        if (std::find(found.begin(), found.end(), lane) != found.end()) continue;
        lost.any = true;
        accepted += detail::AcceptedCell::count_of(cell.records) + cell.drops;
    }
    if (!counts_->is_unknown()) lost.accepted = accepted;
    return lost;
}

bool Run::has_lost_lane_dir() const {
    std::error_code error;
    if (!std::filesystem::exists(lanes_path(), error) && !error) return true;
    const std::string nonce = read_text_file(lanes_path() / kNonceFile);
    if (!identity_.lane_nonce.empty() && nonce == identity_.lane_nonce) return false;
    // Only if nothing says that these are the run's may they be given up.
    if (error || ::access(lanes_path().c_str(), R_OK | X_OK) != 0) {
        throw SetupError(lanes_path().string() + ": the lanes of " + directory_.string() +
                         " cannot be read; run as their owner");
    }
    return !identity_.lane_nonce.empty();
}

Run::Lanes Run::open_lanes(std::size_t& damaged) const {
    return map_lanes(damaged, &File::open);
}

Run::Lanes Run::copy_lanes(std::size_t& damaged) const {
    return map_lanes(damaged, &File::copy);
}

Run::Lanes Run::map_lanes(std::size_t& damaged, File (*open)(const std::filesystem::path&)) const {
    Lanes lanes;
    if (has_lost_lane_dir()) return lanes;
    for (const auto& path : entries_of(lanes_path())) {
        unsigned long long number = 0;
        if (std::sscanf(path.filename().c_str(), "lane-%llu", &number) != 1) continue;
        std::unique_ptr<LaneMapping> lane;
        try {
            lane = LaneMapping::open(open(path));
        } catch (const SetupError&) {
            // counted, like one that is damaged beyond use
        }
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
        const auto now = std::chrono::steady_clock::now();
        if (now < describe_again_at_) return false;  // no write(2) in each emit()
        if (add_type(OwnedDescriptor::copy_of(descriptor))) return true;
        describe_again_at_ = now + kDescribeAgainAfter;
        return false;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

bool Run::add_type(const OwnedDescriptor& descriptor) {
    if (types_.is_open()) {
        // Twice, and well apart, since without it no record of the type can be read: damage that
        // spares one of the two costs nothing.
        const std::string once = descriptor.to_json() + "\n\n";
        const std::string line = once + once;
        const auto bytes = std::as_bytes(std::span<const char>(line));
        if (types_.write_at(types_bytes_, bytes) != 0) return false;
        types_bytes_ += line.size();
    }
    described_.emplace(descriptor.hash, std::make_unique<OwnedDescriptor>(descriptor));
    return true;
}

void Run::copy_types(const Run& other) {
    const std::scoped_lock lock(mutex_, other.mutex_);
    for (const auto& [hash, descriptor] : other.described_) {
        if (!add_type(*descriptor)) {
            throw SetupError((directory_ / "types.jsonl").string() + ": cannot be written");
        }
    }
}

const OwnedDescriptor* Run::find_type(std::uint32_t hash) const {
    const std::lock_guard lock(mutex_);
    const auto found = described_.find(hash);
    return found == described_.end() ? nullptr : found->second.get();
}

/// False: its frames must be signed, and the key is not there.
bool Run::read_key() {
    if (!identity_.publisher.is_self_certifying()) return true;
    const std::string seed = read_text_file(directory_ / kKeyFile);
    key_ = SigningKey::from_seed(std::as_bytes(std::span<const char>(seed)));
    return key_ && key_->publisher() == identity_.publisher;
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
    // run.json goes first: a directory without it is no run and is never adopted by halves, nor
    // would its lanes be taken for lost.
    std::filesystem::remove(directory_ / kRunFile, ignored);
    std::filesystem::remove_all(lanes_path(), ignored);
    // Which fails, as it should, while another run is in it.
    if (is_private_directory(identity_.lane_dir)) ::rmdir(identity_.lane_dir.c_str());
    // Who still saw it there tries the lock, which puts a file beside it for a moment: a removal
    // that meets this stops half-way.
    for (int i = 0; i < kRemovalsMax; ++i) {
        std::filesystem::remove_all(directory_, ignored);
        if (!std::filesystem::exists(directory_, ignored)) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace homeward
