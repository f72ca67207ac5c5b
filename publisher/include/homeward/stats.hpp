#pragma once

/// @file
/// What a publisher has accepted, sent and refused.

#include <cstddef>
#include <cstdint>

namespace homeward {

/// Events that were not taken, by reason. The leader knows nothing of them.
struct RefusalStats {
    /// EmitResult::full, and what an undecided RequestScope had to give up
    std::uint64_t lane_full = 0;
    std::uint64_t scope_full = 0;       ///< EmitResult::scope_full
    std::uint64_t too_large = 0;        ///< EmitResult::too_large
    std::uint64_t type_unwritable = 0;  ///< EmitResult::full: the spool's disk refuses its type
    std::uint64_t invalid = 0;          ///< EmitResult::invalid
    std::uint64_t incomplete = 0;       ///< EmitResult::incomplete
    std::uint64_t unavailable = 0;      ///< EmitResult::unavailable
    std::uint64_t closed = 0;           ///< EmitResult::closed
};

/// Counts of one class. accepted = in_lanes + in_log + acked + tombstoned holds at every moment.
struct ClassStats {
    std::uint64_t accepted = 0;  ///< events taken, drops included
    std::uint64_t in_lanes = 0;  ///< not yet in a frame
    std::uint64_t in_log = 0;    ///< in frames that the stream has not acknowledged
    std::uint64_t acked = 0;     ///< in the stream
    std::uint64_t tombstoned =
        0;                      ///< dropped or damaged, as far as reported in acknowledged frames
    std::uint64_t refused = 0;  ///< not among accepted; the sum of refused_by
    std::uint64_t dropped = 0;  ///< metric: found no room; among accepted
    /// Typed events with text that was not UTF-8, where U+FFFD is now; among accepted.
    std::uint64_t scrubbed = 0;
    std::uint64_t retries = 0;        ///< frames sent again
    std::uint64_t wire_bytes = 0;     ///< frames as first sent
    std::uint64_t json_bytes = 0;     ///< their events as JSON; of frames in columns, about
    std::uint64_t log_bytes = 0;      ///< that the frame log takes on disk
    std::uint64_t log_bytes_max = 0;  ///< PublisherOptions::log_bytes_max
    RefusalStats refused_by{};        ///< why events were refused
};
/// What a publisher has done since it was opened.
struct Stats {
    ClassStats audit;                   ///< of EventClass::audit
    ClassStats metric;                  ///< of EventClass::metric
    bool connected = false;             ///< to a NATS server, now
    std::size_t spools_recovering = 0;  ///< left by dead processes and not yet sent
};

}  // namespace homeward
