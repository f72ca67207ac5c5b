#include "tests/bench/support/writeback.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

namespace homeward::bench {
namespace {

constexpr std::size_t kChunkBytes = 1u << 20;
constexpr off_t kFileBytes = 64 << 20;
constexpr auto kChunkInterval = std::chrono::milliseconds(50);
constexpr int kChunksPerFlush = 10;

}  // namespace

Writeback::Writeback(const std::filesystem::path& directory)
    : file_(::open((directory / "writeback").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (file_ < 0) throw std::system_error(errno, std::generic_category(), directory.string());
    thread_ = std::thread([this] { run(); });
}

Writeback::~Writeback() {
    stopping_ = true;
    thread_.join();
    ::close(file_);
}

void Writeback::run() {
    std::vector<char> chunk(kChunkBytes, 'w');
    off_t at = 0;
    for (int i = 1; !stopping_; ++i) {
        chunk[0] = static_cast<char>(i);
        if (::pwrite(file_, chunk.data(), chunk.size(), at) < 0) return;  // full: no more dirt
        at = (at + static_cast<off_t>(kChunkBytes)) % kFileBytes;
        if (i % kChunksPerFlush == 0) ::sync_file_range(file_, 0, 0, SYNC_FILE_RANGE_WRITE);
        std::this_thread::sleep_for(kChunkInterval);
    }
}

std::uint64_t written_back_bytes() {
    std::ifstream vmstat("/proc/vmstat");
    std::string name;
    std::uint64_t value = 0;
    while (vmstat >> name >> value) {
        if (name == "nr_written")
            return value * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    }
    return 0;
}

}  // namespace homeward::bench
