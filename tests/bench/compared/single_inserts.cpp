#include "tests/bench/compared/single_inserts.hpp"

#include <libpq-fe.h>

#include <array>
#include <chrono>
#include <memory>
#include <stdexcept>

#include "tests/bench/support/leader_cpu.hpp"
#include "tests/bench/support/workload.hpp"

namespace homeward::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

constexpr const char* kStatement =
    "INSERT INTO audit_events"
    " (origin, seq, time, actor, action, resource, outcome, request_id, detail)"
    " VALUES (0, $1, now(), $2, $3, $4, $5, $6, $7)";
constexpr int kParameters = 7;

void require(const Connection& connection, const Result& result) {
    if (PQresultStatus(result.get()) == PGRES_COMMAND_OK) return;
    throw std::runtime_error(std::string("INSERT: ") + PQerrorMessage(connection.get()));
}

void insert(const Connection& connection, const AuditSample& sample, std::uint64_t seq) {
    const std::string seq_text = std::to_string(seq);
    const std::string outcome(events::Audit::to_text(sample.outcome));
    const std::array<const char*, kParameters> values{
        seq_text.c_str(), sample.actor.c_str(),      sample.action.c_str(), sample.resource.c_str(),
        outcome.c_str(),  sample.request_id.c_str(), sample.detail.c_str()};
    require(connection, Result(PQexecPrepared(connection.get(), "one", kParameters, values.data(),
                                              nullptr, nullptr, 0),
                               PQclear));
}

}  // namespace

Ingest insert_singly(Line& line, double seconds) {
    line.empty_table("audit_events");
    const auto samples = audit_samples(4096);
    const LeaderCpu cpu(line.leader());
    Ingest ingest;
    {
        const Connection connection(PQconnectdb(line.leader().url().c_str()), PQfinish);
        require(
            connection,
            Result(PQprepare(connection.get(), "one", kStatement, kParameters, nullptr), PQclear));
        const auto began = SteadyClock::now();
        while (ingest.seconds < seconds) {
            const auto row = static_cast<std::uint64_t>(ingest.rows);
            insert(connection, samples[row % samples.size()], row + 1);
            ++ingest.rows;
            ingest.seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();
        }
    }
    line.leader().query("CHECKPOINT");
    ingest.leader_cpu_seconds = cpu.seconds();
    return ingest;
}

}  // namespace homeward::bench
