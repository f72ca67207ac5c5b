#include "publisher/cells/cell_store.hpp"

#include <sys/mman.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <homeward/publisher.hpp>

#include "publisher/platform/file.hpp"
#include "publisher/platform/reserve.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;
using detail::CellEntry;
using detail::CellFileHeader;
using detail::CellKind;
using detail::kCellAlign;

/// The first file of a process; each further one is twice as large, up to the maximum.
constexpr std::size_t kSegmentBytesMin = 64u << 10;
constexpr std::size_t kSegmentBytesMax = 1u << 20;
/// Bounds what a damaged file makes us map.
constexpr std::size_t kFileBytesMax = 16u << 20;
/// Left to lanes, which carry events.
constexpr std::size_t kBytesKeptFree = 4u << 20;
/// After a file found no room.
constexpr auto kRetryAfter = 10s;

constexpr std::size_t aligned(std::size_t bytes) {
    return (bytes + kCellAlign - 1) / kCellAlign * kCellAlign;
}

std::byte* map(const File& file, std::size_t bytes) {
    void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor(), 0);
    if (base == MAP_FAILED) {
        throw SetupError(std::string("cannot map metric cells: ") + std::strerror(errno));
    }
    return static_cast<std::byte*>(base);
}

}  // namespace

CellSegment CellSegment::create(const std::filesystem::path& path, std::size_t bytes) {
    File file = File::create(path);
    const int error = file.allocate(bytes);
    if (error != 0) {
        std::error_code ignored;
        std::filesystem::remove(path, ignored);
        throw SetupError(std::string("no space for metric cells: ") + std::strerror(error));
    }
    CellSegment segment(map(file, bytes), bytes);
    ::madvise(segment.base_, bytes, MADV_POPULATE_WRITE);  // or a first add() pays for each page
    auto* header = new (segment.base_) CellFileHeader{};
    header->histogram_bytes = sizeof(detail::HistogramCell);
    header->series_bytes = sizeof(detail::SeriesRecord);
    header->magic = detail::kCellMagic;
    return segment;
}

CellSegment CellSegment::open(const std::filesystem::path& path) {
    const File file = File::open(path);
    const std::size_t bytes = file.size();
    if (bytes < sizeof(CellFileHeader) || bytes > kFileBytesMax) {
        throw SetupError(path.string() + ": is no file of metric cells");
    }
    CellSegment segment(map(file, bytes), bytes);
    const CellFileHeader& header = *segment.header();
    if (header.magic != detail::kCellMagic ||
        header.histogram_bytes != sizeof(detail::HistogramCell) ||
        header.series_bytes != sizeof(detail::SeriesRecord)) {
        throw SetupError(path.string() + ": has metric cells of another version");
    }
    return segment;
}

CellSegment::~CellSegment() {
    if (base_ != nullptr) ::munmap(base_, bytes_);
}

CellSegment::CellSegment(CellSegment&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), bytes_(other.bytes_) {}

CellStore::~CellStore() {
    for (std::byte* memory : in_memory_) {
        ::operator delete[](memory, std::align_val_t{kCellAlign});
    }
}

std::filesystem::path CellStore::file_in(const std::filesystem::path& directory,
                                         std::size_t number) {
    return directory / ("cells-" + std::to_string(number));
}

void CellStore::add_segment(std::size_t bytes) {
    const std::size_t doublings = std::min<std::size_t>(segments_.size(), 4);
    const std::size_t size = std::max(std::min(kSegmentBytesMin << doublings, kSegmentBytesMax),
                                      aligned(bytes + sizeof(CellFileHeader)));
    struct statvfs status {};
    if (::statvfs(directory_.c_str(), &status) == 0 && status.f_blocks != 0 &&
        status.f_bavail * status.f_frsize < size + kBytesKeptFree) {
        throw SetupError("only " + std::to_string(status.f_bavail * status.f_frsize >> 10) +
                         " KiB are free in " + directory_.string());
    }
    reserve_one_more(segments_);
    segments_.push_back(CellSegment::create(file_in(directory_, segments_.size()), size));
    used_ = sizeof(CellFileHeader);
    if (segments_.size() == 1) first_.store(segments_[0].header(), std::memory_order_release);
}

/// nullptr, and failure_ says why, if there is no room.
std::byte* CellStore::in_file(std::size_t bytes) {
    if (directory_.empty() || std::chrono::steady_clock::now() < retry_at_) return nullptr;
    if (segments_.empty() || segments_.back().bytes() - used_ < bytes) {
        try {
            add_segment(bytes);
        } catch (const SetupError& error) {
            failure_ = error.what();
            retry_at_ = std::chrono::steady_clock::now() + kRetryAfter;
            return nullptr;
        }
    }
    std::byte* place = segments_.back().base() + used_;
    used_ += bytes;
    return place;
}

CellStore::Place CellStore::allocate(std::size_t bytes) {
    const std::size_t content = aligned(bytes);
    if (std::byte* entry = in_file(sizeof(CellEntry) + content)) {
        return {entry + sizeof(CellEntry), reinterpret_cast<CellEntry*>(entry)};
    }
    reserve_one_more(in_memory_);
    auto* memory = static_cast<std::byte*>(::operator new[](content, std::align_val_t{kCellAlign}));
    in_memory_.push_back(memory);
    std::memset(memory, 0, content);
    return {memory, nullptr};
}

void CellStore::finish(const Place& place, CellKind kind, std::size_t bytes,
                       std::uint32_t series) noexcept {
    if (place.entry == nullptr) return;
    place.entry->bytes = static_cast<std::uint32_t>(aligned(bytes));
    place.entry->series = series;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    place.entry->kind.store(kind, std::memory_order_release);
}

CellStore::Series CellStore::add_series(InstrumentKind kind, std::string_view name,
                                        std::string_view unit, std::string_view attributes) {
    const std::size_t text_bytes = name.size() + unit.size() + attributes.size();
    const std::size_t bytes = detail::SeriesRecord::bytes_of(kind, text_bytes);
    const std::lock_guard lock(mutex_);
    const Place place = allocate(bytes);
    auto* record = new (place.content) detail::SeriesRecord{};
    record->kind = kind;
    record->name_bytes = static_cast<std::uint32_t>(name.size());
    record->unit_bytes = static_cast<std::uint32_t>(unit.size());
    record->attributes_bytes = static_cast<std::uint32_t>(attributes.size());
    if (kind == InstrumentKind::histogram) {
        for (int half : {0, 1}) detail::store_buckets(record->buckets()[half], {});
    }
    char* at = record->text();
    for (const std::string_view part : {name, unit, attributes}) {
        at = std::copy(part.begin(), part.end(), at);
    }
    record->totals[0].end_us = detail::Clock::system_us();
    finish(place, CellKind::series, bytes, ++series_last_);
    return {record, series_last_, place.entry != nullptr};
}

CellStore::Counters CellStore::add_counters() {
    const std::lock_guard lock(mutex_);
    const Place place = allocate(sizeof(detail::CounterBlock));
    auto* block = new (place.content) detail::CounterBlock{};
    finish(place, CellKind::counters, sizeof(detail::CounterBlock), 0);
    return {block, place.entry != nullptr};
}

detail::HistogramCell& CellStore::add_histogram(const Series& series) {
    const std::lock_guard lock(mutex_);
    const Place place = allocate(sizeof(detail::HistogramCell));
    auto* cell = new (place.content) detail::HistogramCell{};
    if (place.entry == nullptr) series.record->is_partial = 1;
    finish(place, CellKind::histogram, sizeof(detail::HistogramCell), series.number);
    return *cell;
}

void CellStore::touch(std::int64_t now_us) noexcept {
    CellFileHeader* first = first_.load(std::memory_order_acquire);
    if (first != nullptr) first->alive_us.store(now_us, std::memory_order_relaxed);
}

std::string CellStore::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

}  // namespace homeward
