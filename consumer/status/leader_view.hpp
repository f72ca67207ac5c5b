#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"
#include "consumer/status/bottleneck.hpp"

namespace homeward::consumer {

/// An origin as the leader's ledger has it.
struct OriginView {
    std::string event_class, region, app, publisher;
    std::string state;  ///< active, complete, open, abandoned; as in homeward.proof
    std::int64_t accepted = 0, settled = 0, holes = 0;
    std::string hole_ranges;  ///< {[101,201)}; cut off when there are many
    std::int64_t heard_s = 0;
};

/// Dead letters of one reason.
struct LetterView {
    std::string type, state, reason;
    std::int64_t count = 0;
};

struct LeaderView {
    std::map<std::string, std::int64_t> states;  ///< how many origins are in each
    std::vector<OriginView> origins;             ///< those with holes first; at most a hundred
    std::vector<LetterView> letters;             ///< the commonest first; at most twenty
};
LeaderView read_leader_view(PgConnection& leader);

/// One look at what the consumer's sessions on the leader are doing.
struct WaitSample {
    LeaderWaits waits;
    std::string lock_holder;
};
WaitSample sample_waits(PgConnection& leader);

}  // namespace homeward::consumer
