#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "consumer/decode/column_rows.hpp"
#include "consumer/decode/event_decoder.hpp"
#include "consumer/decode/frame_decoder.hpp"
#include "consumer/decode/message_work.hpp"
#include "consumer/postgres/partitions.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/write/pack_encoder.hpp"

namespace homeward::consumer {

struct Refusal {
    RowPlace place;
    LeaderError error;
};

/// What the leader made of one type's rows of a batch. The rows that passed are in the transaction,
/// none of the others is.
struct CopyOutcome {
    int type;
    std::size_t passed = 0;
    std::vector<Refusal> refused;
    /// Set: the table refuses rows as a whole, and not every row was tried.
    std::optional<LeaderError> table_error;
    bool is_cut_short = false;  ///< more rows were refused than allowed; not every row was tried
};

/// The rows of messages into their tables by binary COPY, inside the transaction at hand. Those
/// that are skipped are left out. One thread; borrows all it is given.
class RowCopier {
  public:
    RowCopier(const Config& config, const Catalog& catalog, Partitions& partitions)
        : config_(config), catalog_(catalog), partitions_(partitions) {}

    /// How messages are to be decoded for copy(): after a statement timeout, a COPY takes some of a
    /// type's rows, and not all of a block.
    MessageDecoder::Into best_form() const {
        return piece_rows_.empty() ? MessageDecoder::Into::packs : MessageDecoder::Into::rows;
    }
    /// The days of rows that are not known to have a partition.
    TableDays missing_days(const Batch& batch) const;
    /// Partitions for all rows, before a transaction begins.
    void make_room(PgConnection& leader, const Batch& batch);
    /// All of them, or a LeaderError. After a statement timeout, the next COPY of that table is
    /// smaller. HW007: a column of a table is of another type than its rows bring, so that their
    /// bytes may have become other values.
    void copy(PgConnection& leader, Batch& batch);
    /// Isolates rows that the leader refuses, whatever the SQLSTATE, unless it is transient: by the
    /// line that COPY names, else by halving. Where many are refused, pieces are small, so that few
    /// good rows are sent again. One outcome a type; the last is cut short at the next row after
    /// `refused_max`. Throws what is transient, and what lacks its partition (make_room() again,
    /// after Partitions::forget()). The messages must have been decoded into rows.
    std::vector<CopyOutcome> isolate_bad_rows(PgConnection& leader, Batch& batch,
                                              std::size_t refused_max);
    /// Rows that the leader refuses become dead events; throws when the table refuses all.
    void copy_or_bury(PgConnection& leader, Batch& batch);
    /// Of another connection the layout of the tables is read again.
    void forget_layout() { layout_.reset(); }
    /// Makes dead events of refused rows.
    void add_dead_letters(std::vector<Refusal> refused);

  private:
    using Places = std::vector<RowPlace>;

    /// How the leader stores the types that are, or once were, packed.
    struct Layout {
        std::set<std::string> packed_types;  ///< have a view, and tables of rows and of packs
        ListTypes list_types;
    };

    static Places places_of(Batch& batch, int type);
    const Layout& layout(PgConnection& leader);
    std::string row_table(PgConnection& leader, const EventType& type);
    void send(PgConnection& leader, int type, std::span<const RowPlace> places);
    void send_packs(PgConnection& leader, const EventType& type, std::span<const RowPlace> places);
    void isolate_bad_rows(PgConnection& leader, const Places& places, std::size_t refused_max,
                          CopyOutcome& outcome);
    void make_dead(const Refusal& refusal, Payloads& payloads);
    std::string copy_statement(
        PgConnection& leader, const std::string& table,
        const std::vector<std::pair<std::string, std::string>>& columns) const;
    void send_rows(PgConnection& leader, const EventType& type, std::span<const RowPlace> places);
    std::size_t piece_rows(int type) const;
    void timed_out(int type, std::size_t rows);
    void went_well(int type, std::chrono::steady_clock::duration took);

    const Config& config_;
    const Catalog& catalog_;
    Partitions& partitions_;
    /// Rows of one COPY, by type; of those whose COPY has exceeded the statement timeout lately.
    std::map<int, std::size_t> piece_rows_;
    int partition_misses_ = 0;  ///< in a row
    std::optional<Layout> layout_;
    std::string packs_;
};

}  // namespace homeward::consumer
