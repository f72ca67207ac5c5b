#include "publisher/spool/run_identity.hpp"

#include <nlohmann/json.hpp>

#include "schemas/nats/subject.hpp"
#include "schemas/wire/crc32c.hpp"

namespace homeward {
namespace {

/// What this program writes. 2: a release entry of the frame log names its frame.
constexpr int kSpoolVersion = 2;
/// The oldest that it reads; v0.1.0 wrote that.
constexpr int kSpoolVersionMin = 1;

std::uint32_t checksum_of(const nlohmann::json& json) {
    const std::string text = json.dump();
    return crc32c(std::as_bytes(std::span<const char>(text)));
}

}  // namespace

std::string RunIdentity::to_json() const {
    nlohmann::json json{{"version", kSpoolVersion},
                        {"publisher", publisher.hex()},
                        {"region", region},
                        {"app", app},
                        {"boot_id", boot_id},
                        {"process", process},
                        {"lane_dir", lane_dir.string()},
                        {"synced", synced},
                        {"successor_of", successor_of},
                        {"spool_bytes_max", spool_bytes_max},
                        {"lane_nonce", lane_nonce}};
    json["crc32c"] = checksum_of(json);
    return json.dump(4) + "\n";
}

RunIdentity::Parsed RunIdentity::parse(std::string_view text, RunIdentity& identity) {
    if (text.empty()) return Parsed::none;
    const auto json = nlohmann::json::parse(text, nullptr, false);
    try {
        const int version = json.at("version").get<int>();
        if (version > kSpoolVersion) return Parsed::newer;
        if (version < kSpoolVersionMin) return Parsed::damaged;
        auto unchecked = json;
        unchecked.erase("crc32c");
        // A region that differs by one bit is another region: nothing here may be nearly right.
        if (json.at("crc32c") != checksum_of(unchecked)) return Parsed::damaged;
        const auto publisher = PublisherId::parse(json.at("publisher").get<std::string>());
        if (!publisher) return Parsed::damaged;
        identity = {*publisher,
                    json.at("region").get<std::string>(),
                    json.at("app").get<std::string>(),
                    json.at("boot_id").get<std::string>(),
                    json.at("process").get<std::string>(),
                    json.at("lane_dir").get<std::string>(),
                    json.at("synced").get<bool>(),
                    json.at("successor_of").get<std::string>(),
                    json.value("spool_bytes_max", std::uint64_t{0}),
                    json.value("lane_nonce", "")};
    } catch (const nlohmann::json::exception&) {
        return Parsed::damaged;
    }
    // They become parts of a subject; what damage made of them must not.
    const bool is_valid = is_valid_name(identity.region) && is_valid_name(identity.app);
    return is_valid ? Parsed::whole : Parsed::damaged;
}

}  // namespace homeward
