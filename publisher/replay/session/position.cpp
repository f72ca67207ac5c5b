#include <homeward/replay/position.hpp>

#include <algorithm>
#include <charconv>

namespace homeward::replay {
namespace {

template <typename Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
    Number number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

/// SQL has it as a signed bigint.
std::optional<std::uint64_t> parse_system_id(std::string_view text) {
    const auto number = parse_number<std::int64_t>(text);
    if (!number) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

/// The first 8 of the 24 hexadecimal digits of a WAL file's name.
std::optional<std::uint32_t> timeline_of_file(std::string_view name) {
    if (name.size() != 24) return std::nullopt;
    return parse_number<std::uint32_t>(name.substr(0, 8), 16);
}

bool is_power_of_two(std::uint32_t number) {
    return number != 0 && (number & (number - 1)) == 0;
}

}  // namespace

std::string wait_for_lsn_sql(Lsn lsn, std::chrono::milliseconds wait_max) {
    // 0 would wait for ever.
    const auto time_ms = std::max<std::int64_t>(wait_max.count(), 1);
    return "WAIT FOR LSN '" + lsn_text(lsn) + "' WITH (TIMEOUT '" + std::to_string(time_ms) +
           "ms', NO_THROW)";
}

std::optional<Position> parse_committed(const CommittedRow& row) {
    const auto system_id = parse_system_id(row[0]);
    const auto timeline = timeline_of_file(row[1]);
    const auto insert_lsn = parse_lsn(row[2]);
    const auto block_bytes = parse_number<std::uint32_t>(row[3]);
    const auto segment_bytes = parse_number<std::uint32_t>(row[4]);
    if (!system_id || !timeline || !insert_lsn || !block_bytes || !segment_bytes) {
        return std::nullopt;
    }
    if (!is_power_of_two(*block_bytes) || !is_power_of_two(*segment_bytes)) return std::nullopt;
    return Position{*system_id, *timeline,
                    end_of_record(*insert_lsn, {*block_bytes, *segment_bytes})};
}

std::optional<ReplicaPosition> parse_replica(const ReplicaRow& row) {
    if (row[1] != "t" && row[1] != "f") return std::nullopt;
    const bool is_standby = row[1] == "t";
    const auto system_id = parse_system_id(row[0]);
    const auto timeline =
        is_standby ? parse_number<std::uint32_t>(row[2]) : timeline_of_file(row[2]);
    const auto lsn = parse_lsn(row[3]);
    if (!system_id || !timeline || !lsn) return std::nullopt;
    return ReplicaPosition{{*system_id, *timeline, *lsn},
                           is_standby ? ServerRole::standby : ServerRole::primary};
}

}  // namespace homeward::replay
