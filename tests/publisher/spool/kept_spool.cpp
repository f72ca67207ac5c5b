#include "tests/publisher/spool/kept_spool.hpp"

#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "publisher/spool/run.hpp"
#include "schemas/wire/byte_order.hpp"
#include "schemas/wire/crc32c.hpp"
#include "schemas/wire/frame.hpp"
#include "tests/support/process.hpp"

namespace homeward::testing {
namespace {

constexpr std::uint64_t kSeqSentLast = 304;

/// Says that the lanes are here, and that the machine has not restarted since; with the checksum
/// that v0.1.0 would have put there.
void move_here(const std::filesystem::path& run_file, const std::filesystem::path& lane_dir) {
    auto json = nlohmann::json::parse(read_file(run_file));
    if (json.at("version") != 1) throw std::runtime_error("a run.json of another version");
    json["lane_dir"] = lane_dir.string();
    json["boot_id"] = machine_boot_id();
    json.erase("crc32c");
    const std::string text = json.dump();
    json["crc32c"] = crc32c(std::as_bytes(std::span<const char>(text)));
    std::ofstream(run_file) << json.dump(4) << "\n";
}

}  // namespace

KeptSpool::KeptSpool() {
    const CommandResult unpacked = run_command(
        {"tar", "-xzf", HOMEWARD_SPOOLS_DIR "/v0.1.0.tar.gz", "-C", dir_.path().string()});
    if (unpacked.exit_code != 0) throw std::runtime_error("tar: " + unpacked.output);
    move_here(directory() / "run.json", dir_ / "lanes");
}

std::vector<std::string> KeptSpool::sent_frames() const {
    constexpr std::size_t kCompressedBytesAt = 60;
    const std::string log = read_file(directory() / "audit" / "log-00000001");
    std::vector<std::string> frames;
    for (std::size_t at = 0; (at = log.find("HWF1", at)) != std::string::npos; ++at) {
        const auto rest = std::as_bytes(std::span<const char>(log)).subspan(at);
        const std::size_t bytes = kFrameHeaderBytes + load<std::uint32_t>(rest, kCompressedBytesAt);
        FrameHeader header;
        if (FrameDecoder::decode_header(rest.first(bytes), header) != FrameError::none) {
            throw std::runtime_error("the kept spool has a damaged frame");
        }
        if (header.seq_last() <= kSeqSentLast) frames.push_back(log.substr(at, bytes));
    }
    return frames;
}

}  // namespace homeward::testing
