#include "publisher/buffer/accepted_counts.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include <homeward/publisher.hpp>

#include "schemas/wire/crc32c.hpp"

namespace homeward {
namespace {

using detail::AcceptedCell;

constexpr std::uint32_t kMagic = 0x31434148;  // "HAC1"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeadBytes = 64;

struct Head {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t cells;
    std::uint32_t checksum;
    std::uint32_t is_unknown;
};
static_assert(sizeof(Head) <= kHeadBytes);

std::uint32_t checksum_of(const Head& head) {
    return crc32c(std::as_bytes(std::span(&head, 1)).first(offsetof(Head, checksum)));
}

std::size_t bytes_of(std::size_t cells) {
    return kHeadBytes + cells * sizeof(AcceptedCell);
}

}  // namespace

void AcceptedCell::raise(std::uint64_t count) noexcept {
    std::uint64_t word = records.load(std::memory_order_relaxed);
    while (!records.compare_exchange_weak(word, changed(word, std::max(count, count_of(word))),
                                          std::memory_order_acq_rel)) {
    }
}

AcceptedCounts::AcceptedCounts(File file, std::size_t cells)
    : file_(std::move(file)), cells_(cells) {
    void* mapped =
        ::mmap(nullptr, bytes_of(cells), PROT_READ | PROT_WRITE, MAP_SHARED, file_.descriptor(), 0);
    if (mapped == MAP_FAILED) {
        throw SetupError(std::string("cannot map the accepted counts: ") + std::strerror(errno));
    }
    base_ = static_cast<std::byte*>(mapped);
}

AcceptedCounts::~AcceptedCounts() {
    ::munmap(base_, bytes_of(cells_));
}

std::unique_ptr<AcceptedCounts> AcceptedCounts::create(File file, std::size_t cells) {
    cells = std::min(cells, kCellsMax);
    // Written, not only allocated: a block that was never written costs the first store to it more.
    std::vector<std::byte> bytes(bytes_of(cells));
    Head head{kMagic, kVersion, static_cast<std::uint32_t>(cells), 0, 0};
    head.checksum = checksum_of(head);
    std::memcpy(bytes.data(), &head, sizeof head);
    int error = file.allocate(bytes.size());
    if (error == 0) error = file.write_at(0, bytes);
    if (error != 0) {
        throw SetupError(std::string("spool_dir has no space for the accepted counts: ") +
                         std::strerror(error));
    }
    return std::unique_ptr<AcceptedCounts>(new AcceptedCounts(std::move(file), cells));
}

std::unique_ptr<AcceptedCounts> AcceptedCounts::open(const File& file) {
    Head head{};
    file.read_at(0, std::as_writable_bytes(std::span(&head, 1)));
    const bool is_sound = head.magic == kMagic && head.version == kVersion &&
                          head.cells <= kCellsMax && head.checksum == checksum_of(head) &&
                          file.size() >= bytes_of(head.cells);
    if (!is_sound) return nullptr;
    // A copy in memory: nobody counts here any more.
    std::vector<std::byte> bytes(bytes_of(head.cells));
    if (file.read_at(0, bytes) != bytes.size()) return nullptr;
    File copy = File::anonymous("homeward-accepted");
    if (copy.allocate(bytes.size()) != 0 || copy.write_at(0, bytes) != 0) return nullptr;
    std::unique_ptr<AcceptedCounts> counts(new AcceptedCounts(std::move(copy), head.cells));
    counts->is_unknown_ = head.is_unknown != 0;
    return counts;
}

AcceptedCell* AcceptedCounts::cell(std::uint64_t lane) const {
    if (lane >= cells_) return nullptr;
    return std::launder(
        reinterpret_cast<AcceptedCell*>(base_ + kHeadBytes + lane * sizeof(AcceptedCell)));
}

bool AcceptedCounts::prefault() const noexcept {
    // EINVAL: a kernel before 5.14.
    return ::madvise(base_, bytes_of(cells_), MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
}

void AcceptedCounts::declare_unknown() noexcept {
    is_unknown_ = true;
    const std::uint32_t yes = 1;
    // The disk may refuse this, too: then a later reader is told too little.
    static_cast<void>(
        file_.write_at(offsetof(Head, is_unknown), std::as_bytes(std::span(&yes, 1))));
}

RecordGrant::RecordGrant(detail::LaneHeader* header, AcceptedCell* cell, bool shared)
    : header_(header), cell_(cell), shared_(shared) {
    if (cell_ != nullptr) header_->granted.store(0, std::memory_order_release);
}

/// Begun ones count in a shared lane: their count is raised for them before they are visible.
std::uint64_t RecordGrant::records() const noexcept {
    return (shared_ ? header_->begun : header_->records).load(std::memory_order_acquire);
}

bool RecordGrant::tend() noexcept {
    is_too_high_ = false;
    if (cell_ == nullptr) return false;
    const std::uint64_t now = records();
    target_ = now + (now - seen_);
    seen_ = now;
    before_ = cell_->records.load(std::memory_order_acquire);
    const std::uint64_t granted = header_->granted.load(std::memory_order_relaxed);
    if (target_ > granted) {
        cell_->raise(target_);
        header_->granted.store(target_, std::memory_order_release);
        return false;
    }
    if (AcceptedCell::count_of(before_) <= target_) return false;
    header_->granted.store(target_, std::memory_order_release);
    is_too_high_ = true;
    return true;
}

void RecordGrant::lower() noexcept {
    const std::uint64_t count = std::max(target_, records());
    cell_->records.compare_exchange_strong(before_, AcceptedCell::changed(before_, count),
                                           std::memory_order_acq_rel);
}

void RecordGrant::end() noexcept {
    if (cell_ != nullptr) header_->granted.store(UINT64_MAX, std::memory_order_release);
    cell_ = nullptr;
}

}  // namespace homeward
