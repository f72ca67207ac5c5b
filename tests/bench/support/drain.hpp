#pragma once

#include <cstdint>
#include <string>

#include "tests/bench/support/line.hpp"

namespace homeward::bench {

/// What it took to bring rows into a table.
struct Ingest {
    double rows = 0;
    double seconds = 0;
    double leader_cpu_seconds = 0;  ///< of all processes of the leader, until it was idle again
    double nats_cpu_seconds = 0;    ///< of nats-server, until all rows were there
    double client_cpu_seconds =
        0;  ///< of whoever pulled and wrote; the consumer's without its start

    double rows_per_second() const { return rows / seconds; }
    double cpu_per_million() const { return leader_cpu_seconds / rows * 1e6; }
    /// Of all three; they share the processors of one machine here.
    double total_cpu_per_million() const {
        return (leader_cpu_seconds + nats_cpu_seconds + client_cpu_seconds) / rows * 1e6;
    }
};

/// What it took to bring events into the stream.
struct Filled {
    double publisher_cpu_seconds = 0;  ///< of its threads, without the one that emits
    double nats_cpu_seconds = 0;
    double wire_bytes = 0;
    double json_bytes = 0;  ///< of the same events, a line of JSON each
    double wire_percent() const { return 100 * wire_bytes / json_bytes; }
};

/// Publishes so many audit events, or metric events, and waits until the stream has them.
Filled fill_audit(Line& line, std::uint64_t events, std::uint8_t frame_version = 1);
void fill_metric(Line& line, std::uint64_t events);

/// Starts the consumer on a filled stream, until all is in the table, the ledger compacted. The
/// clock runs from its first commit, so that its start does not count.
Ingest drain(Line& line, const std::string& table, std::uint64_t events,
             const Environment& differing = {});

/// The formats of COPY.
enum class CopyFormat : std::uint8_t { text, binary };
/// `psql \copy` of the table into a file.
void dump_table(Line& line, const std::string& table, const std::string& file,
                CopyFormat format = CopyFormat::text);
/// `psql \copy` of that file into the emptied table, as psql itself times it.
Ingest copy_in(Line& line, const std::string& table, const std::string& file,
               CopyFormat format = CopyFormat::text);
/// Binary `\copy` of the table's rows into it again, by so many connections at once, each with an
/// equal share of them.
Ingest copy_in_parallel(Line& line, const std::string& table, int connections);

}  // namespace homeward::bench
