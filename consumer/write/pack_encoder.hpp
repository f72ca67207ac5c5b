#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/decode/message_work.hpp"
#include "consumer/postgres/pack_layout.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// Where a row of a COPY came from.
struct RowPlace {
    MessageWork* work;
    std::size_t event;
};

/// The numbers of the types homeward.…_list, by their names. Each database has its own.
using ListTypes = std::map<std::string, std::uint32_t>;
ListTypes read_list_types(PgConnection& leader);

/// Rows of one packed type, as they are encoded for a binary COPY, transposed into packs, and
/// blocks of columns as they are: one for each origin and day, and another after each 2,000 events
/// or 4 MiB. One thread.
class PackEncoder {
  public:
    PackEncoder(const EventType& type, const ListTypes& list_types);

    /// Appends packs to `packs`, as rows of a binary COPY into the columns of pack_columns().
    /// Returns what is to be a row instead: events that would be a pack of very few, that are very
    /// large, or that have a text with a character by which packs separate texts.
    std::vector<RowPlace> encode(std::span<const RowPlace> places, std::string& packs);

  private:
    /// The values of one field in the pack that is being made.
    struct Values {
        PackForm form;
        bool is_jsonb;
        std::uint32_t element_oid;  ///< of the array; of joined ones, unused
        std::uint32_t list_oid;     ///< of lists: the array in each element
        std::string data;
        std::size_t nulls = 0;
    };

    bool add(const RowPlace& place);
    void add(std::int32_t origin, const PackedBlock& block);
    void begin(std::int32_t origin, std::int64_t seq, std::int64_t time_us);
    void add_seq(std::int64_t seq);
    bool is_far(std::int64_t seq) const;
    bool read(const RowPlace& place);
    bool is_packable() const;
    static void append(Values& values, std::string_view value, bool is_null, bool is_first);
    static void append_nulls(Values& values, std::size_t nulls, bool is_first);
    void finish(std::string& packs, std::vector<RowPlace>& rows);
    void write(std::string& packs);

    std::vector<Values> values_;            // of the fields and extra
    std::vector<std::string_view> fields_;  // of the row at hand; NULL: without data
    std::vector<RowPlace> places_;          // in the pack, of rows
    std::size_t events_ = 0;                // in the pack
    std::int32_t origin_ = 0;
    std::string times_;
    std::string seq_offsets_;
    std::int64_t seq_first_ = 0;
    std::int64_t time_first_us_ = 0;
    std::int64_t time_last_us_ = 0;
    bool is_contiguous_ = true;
    std::size_t bytes_ = 0;
};

}  // namespace homeward::consumer
