#include "tests/bench/support/sightings.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>

namespace homeward::bench {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(5);

std::int64_t system_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

Sightings::Sightings(const testing::PostgresServer& leader)
    : leader_(leader), thread_([this] { run(); }) {}

Sightings::~Sightings() {
    stop();
}

void Sightings::stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
}

/// "xmin:xmax:running,running"
Sightings::Snapshot Sightings::parse(const std::string& text, std::int64_t time_us) {
    Snapshot snapshot{time_us, 0, 0, {}};
    std::istringstream parts(text);
    std::string part;
    std::getline(parts, part, ':');
    snapshot.xmin = std::strtoull(part.c_str(), nullptr, 10);
    std::getline(parts, part, ':');
    snapshot.xmax = std::strtoull(part.c_str(), nullptr, 10);
    while (std::getline(parts, part, ',')) {
        snapshot.running.insert(std::strtoull(part.c_str(), nullptr, 10));
    }
    return snapshot;
}

void Sightings::run() {
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(
        PQconnectdb(leader_.url().c_str()), PQfinish);
    while (!stopping_) {
        PGresult* result = PQexec(connection.get(), "SELECT pg_current_snapshot()");
        // After the answer: a row is said to be visible no earlier than somebody could have it.
        if (PQntuples(result) == 1) {
            snapshots_.push_back(parse(PQgetvalue(result, 0, 0), system_us()));
        }
        PQclear(result);
        std::this_thread::sleep_for(kInterval);
    }
}

Freshness Sightings::judge(const std::string& table) {
    stop();
    if (snapshots_.size() < 2) throw std::runtime_error("the leader could not be observed");
    // Half a millisecond is finer than the sightings are apart.
    const auto groups = leader_.query(
        "SELECT xmin::text, ((extract(epoch FROM time) * 2000)::int8 * 500), count(*) FROM " +
        table + " GROUP BY 1, 2");
    std::map<std::uint64_t, std::int64_t> seen_us;         // by transaction
    std::vector<std::pair<double, std::uint64_t>> delays;  // ms, rows
    Freshness freshness;
    for (const auto& group : groups) {
        const std::uint64_t transaction = std::strtoull(group[0].c_str(), nullptr, 10);
        auto seen = seen_us.find(transaction);
        if (seen == seen_us.end()) {
            const auto first = std::find_if(
                snapshots_.begin(), snapshots_.end(),
                [&](const Snapshot& snapshot) { return snapshot.contains(transaction); });
            const auto& shown = first == snapshots_.end() ? snapshots_.back() : *first;
            seen = seen_us.emplace(transaction, shown.time_us).first;
        }
        const double delay_us = static_cast<double>(seen->second) - std::atof(group[1].c_str());
        delays.emplace_back(delay_us / 1000, std::strtoull(group[2].c_str(), nullptr, 10));
        freshness.rows += delays.back().second;
    }
    std::sort(delays.begin(), delays.end());
    const auto quantile = [&](double q) {
        std::uint64_t before = 0;
        for (const auto& [delay, rows] : delays) {
            before += rows;
            if (static_cast<double>(before) >= q * static_cast<double>(freshness.rows))
                return delay;
        }
        return 0.0;
    };
    freshness.p50_ms = quantile(0.5);
    freshness.p99_ms = quantile(0.99);
    freshness.interval_ms =
        static_cast<double>(snapshots_.back().time_us - snapshots_.front().time_us) / 1000 /
        static_cast<double>(snapshots_.size() - 1);
    return freshness;
}

}  // namespace homeward::bench
