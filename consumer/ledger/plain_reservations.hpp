#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "consumer/decode/message_work.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// The seqs of one batch's plain messages, reserved before its transaction; see
/// schemas/migrations/0010_plain_ranges.sql for why no message can be written twice. One writer.
class PlainReservations {
  public:
    /// Gives seqs to the plain messages of a batch, in a transaction of its own per stream, and
    /// marks as `skip` those whose message is settled. Waits for messages that another transaction
    /// has in hand. What an earlier try of the same batch had reserved is given up. Throws
    /// LeaderError.
    void reserve(PgConnection& leader, Batch& batch);
    /// The first statement of the transaction that writes their rows; empty without plain messages.
    /// HW001: somebody else wanted the messages meanwhile; reserve() again.
    std::string take_statement() const;

  private:
    /// Where a message is in its stream, and in the batch.
    struct Place {
        std::int64_t seq, time_us;
        MessageWork* work;
        bool alone = false;  ///< in a run of its own
    };
    /// A call's arguments: contiguous runs of messages, in order, and how many events each origin
    /// has in them.
    struct Request {
        std::int32_t source = 0;
        std::vector<std::int64_t> firsts, lasts, starts_us, ends_us, origins, counts;
        std::vector<MessageWork*> batch;
        std::string statement() const;
    };

    void reserve_of(PgConnection& leader, std::int32_t source, std::vector<Place> places);
    /// What fits into one call; the rest stays in `places`: sequences that were given out twice.
    static Request next_request(std::int32_t source, std::vector<Place>& places,
                                std::vector<Place>& chosen);
    /// Takes out what the answer says is settled. True when everything was reserved.
    bool apply(PgConnection& leader, const QueryResult& answer, const Request& request,
               std::vector<Place>& chosen);
    void assign(const QueryResult& answer, const Request& request);

    std::vector<std::int64_t> batches_;
};

}  // namespace homeward::consumer
