#include "consumer/ledger/consumer_registry.hpp"

#include <unistd.h>

#include <array>

#include "consumer/base/plain_text.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::consumer {
namespace {

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

}  // namespace

ConsumerRegistration::ConsumerRegistration()
    : id_(PublisherId::random().uuid()), host_(host_name()) {}

void ConsumerRegistration::beat(PgConnection& leader) const {
    leader.query("SELECT homeward.register_consumer($1::uuid, $2, $3, $4)",
                 {id_, tidy_text(host_, 256), HOMEWARD_VERSION,
                  static_cast<std::int64_t>(kFrameVersionMax)});
}

std::vector<RegisteredConsumer> read_consumers(PgConnection& leader) {
    const QueryResult rows = leader.query(
        "SELECT host, version, frame_version_max,"
        " greatest(extract(epoch FROM now() - last_seen_at), 0)::int8"
        " FROM homeward.consumer WHERE last_seen_at > now() - interval '3 minutes'"
        " ORDER BY host, started_at, id");
    std::vector<RegisteredConsumer> consumers;
    for (int i = 0; i < rows.rows(); ++i) {
        consumers.push_back({std::string(rows.at(i, 0)), std::string(rows.at(i, 1)),
                             rows.number(i, 2), rows.number(i, 3)});
    }
    return consumers;
}

}  // namespace homeward::consumer
