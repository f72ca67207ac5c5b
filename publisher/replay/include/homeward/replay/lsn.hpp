#pragma once

/// @file
/// Positions in PostgreSQL's write-ahead log as 64-bit numbers: as text "9/0" sorts behind "10/0".
/// Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace homeward::replay {

/// A position in bytes.
using Lsn = std::uint64_t;

/// Parses "16/B374D848", as PostgreSQL writes it. Any thread.
/// @param text the position
/// @return nothing for any other text
std::optional<Lsn> parse_lsn(std::string_view text);
/// Formats a position as PostgreSQL does. Any thread.
/// @param lsn in bytes
/// @return "16/B374D848"
std::string lsn_text(Lsn lsn);

/// How the log is cut on disk: chosen when a server is built and initialized, so it is asked of
/// the server together with the position.
struct WalLayout {
    std::uint32_t block_bytes = 8192;                ///< wal_block_size
    std::uint32_t segment_bytes = 16 * 1024 * 1024;  ///< wal_segment_size
};

/// The end of the last record before `insert_lsn`. When a record ends exactly with its page,
/// pg_current_wal_insert_lsn() points behind the next page's header (24 bytes; 40 at the start of a
/// segment). A replica gets there only with the next record: on an idle leader after 10 s and more.
/// The committed data ends before the header. Any thread.
/// @param insert_lsn of pg_current_wal_insert_lsn()
/// @param layout of the same server
/// @return at most `insert_lsn`
Lsn end_of_record(Lsn insert_lsn, const WalLayout& layout);

}  // namespace homeward::replay
