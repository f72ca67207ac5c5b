#pragma once

// Positions in PostgreSQL's write-ahead log, as the 64-bit numbers that they are: as text
// "9/0" sorts behind "10/0". Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace homeward::replay {

using Lsn = std::uint64_t;

/// "16/B374D848", as PostgreSQL writes it; nothing when it is anything else.
std::optional<Lsn> parse_lsn(std::string_view text);
std::string lsn_text(Lsn lsn);

/// How the log is cut on disk: chosen when a server is built and initialized, so it is asked of
/// the server together with the position.
struct WalLayout {
    std::uint32_t block_bytes = 8192;
    std::uint32_t segment_bytes = 16 * 1024 * 1024;
};

/// The end of the last record before `insert_lsn`. When a record ends exactly with its page,
/// pg_current_wal_insert_lsn() already points behind the next page's header (24 bytes; 40 at the
/// start of a segment), and a replica gets there only with the next record: on an idle leader
/// after 10 s and more. What was committed ends before the header.
Lsn end_of_record(Lsn insert_lsn, const WalLayout& layout);

}  // namespace homeward::replay
