// Frame log: a segment with bits flipped anywhere and cut off anywhere is recovered without a
// crash; every frame that comes out is, to the byte, one that was logged; without damage all do.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "publisher/buffer/frame_log.hpp"
#include "schemas/wire/frame.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using fuzz::require;

namespace {

constexpr std::size_t kLogBytesMax = 64u << 20;

/// A log of a few frames, two of them released, written once.
struct Sample {
    std::filesystem::path directory = std::filesystem::temp_directory_path() / "frame_log_fuzzer";
    std::filesystem::path segment = directory / "log-00000001";
    std::vector<std::byte> bytes;
    std::map<std::uint64_t, std::vector<std::byte>> frames;  // by seq_first

    Sample() {
        FrameLog log(directory, kLogBytesMax, false);
        FrameEncoder encoder;
        std::uint64_t seq = 1;
        for (std::uint32_t i = 1; i <= 6; ++i) {
            FrameHeader header;
            header.seq_first = seq;
            header.seq_count = header.line_count = i;
            header.accepted = header.seq_last();
            require(encoder.encode(header, std::string(40 * i, 'x') + "\n", frames[seq]));
            const LaneTail tails[] = {{0, seq * 100, 0}, {1, seq * 10, seq}};
            LoggedFrame logged;
            const SeqRange seqs{seq, seq + i - 1};
            require(log.append(seqs, tails, frames[seq], logged) == FrameLog::Outcome::logged);
            if (i % 3 == 1) log.release(logged);
            seq += i;
        }
        std::ifstream stream(segment, std::ios::binary);
        bytes.resize(4096);
        stream.read(reinterpret_cast<char*>(bytes.data()),
                    static_cast<std::streamsize>(bytes.size()));
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Sample sample;
    fuzz::Bytes input(data, size);
    std::vector<std::byte> bytes = sample.bytes;
    bytes.resize(std::min<std::size_t>(bytes.size(), input.take<std::uint16_t>()));
    fuzz::damage(bytes, input);
    std::ofstream(sample.segment, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));

    FrameLog log(sample.directory, kLogBytesMax, false);
    const FrameLog::Recovery recovery = log.recover();
    require(recovery.frames.size() <= sample.frames.size());
    std::uint64_t before = 0;
    for (const LoggedFrame& frame : recovery.frames) {
        require(frame.seq_first > before && frame.seq_first < recovery.seq_next);
        before = frame.seq_first;
        require(log.read(frame) == sample.frames.at(frame.seq_first));
    }
    if (bytes == sample.bytes) require(recovery.frames.size() == sample.frames.size() - 2);
    for (const LoggedFrame& frame : recovery.frames) log.forget(frame);
    return 0;
}
