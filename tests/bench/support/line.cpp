#include "tests/bench/support/line.hpp"

#include <httplib.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>

#include "consumer/tune/process_stat.hpp"
#include "tests/bench/support/streams.hpp"

namespace homeward::bench {
namespace {

using namespace std::chrono_literals;

testing::NatsOptions nats_options(const std::string& more) {
    testing::NatsOptions options;
    options.more = more;
    return options;
}

/// Tests run their PostgreSQL without syncing; a leader syncs. Autovacuum would come at any time
/// and meet one side only; a WAL of 1 GB would make every measurement one of checkpoints.
const std::vector<std::string> kLeaderSettings{"fsync = on", "autovacuum = off",
                                               "max_wal_size = 4GB"};

}  // namespace

Line::Line(const std::string& nats_more, const Environment& made_with)
    : nats_(nats_options(nats_more)), leader_(kLeaderSettings) {
    apply_streams(made_with);
    command({"schema", "apply"}, {});
}

testing::ProcessOptions Line::process_options(const Environment& differing) const {
    testing::ProcessOptions options;
    options.environment = differing;
    options.environment.insert({
        {"HOMEWARD_NATS_URLS", nats_.url()},
        {"HOMEWARD_POSTGRES_URL", leader_.url()},
        {"HOMEWARD_SOURCES", kRegion},
        {"HOMEWARD_ADMIN_LISTEN", "127.0.0.1:" + std::to_string(admin_port_)},
    });
    options.log = dir_ / "consumer.log";
    return options;
}

void Line::command(const std::vector<std::string>& words, const Environment& differing) const {
    std::vector<std::string> command{HOMEWARD_CONSUMER_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    const auto result = testing::run_command(command, process_options(differing));
    if (result.exit_code != 0) throw std::runtime_error(words[0] + " apply:\n" + result.output);
}

void Line::start_consumer(const Environment& differing) {
    consumer_ = testing::Process({HOMEWARD_CONSUMER_PROGRAM, "run"}, process_options(differing));
}

void Line::stop_consumer() {
    if (consumer_.stop() != 0) {
        throw std::runtime_error("homeward-consumer ended badly:\n" +
                                 testing::read_file(dir_ / "consumer.log"));
    }
}

double Line::consumer_cpu_seconds() const {
    return consumer::family_seconds(consumer_.pid());
}

double Line::metric(const std::string& name) const {
    httplib::Client client("127.0.0.1", admin_port_);
    const auto answer = client.Get("/metrics");
    if (!answer) return 0;
    const std::size_t at = answer->body.find("\n" + name + " ");
    return at == std::string::npos ? 0 : std::atof(answer->body.c_str() + at + name.size() + 2);
}

void Line::wait_for_metric(const std::string& name, double value) {
    double last = 0;
    auto moved = std::chrono::steady_clock::now();
    for (;;) {
        const double now = metric(name);
        if (now >= value) return;
        if (now > last) moved = std::chrono::steady_clock::now();
        last = now;
        if (!consumer_.is_running() || std::chrono::steady_clock::now() - moved > 60s) {
            throw std::runtime_error(name + " stays at " + std::to_string(now) + " of " +
                                     std::to_string(value) + ":\n" +
                                     testing::read_file(dir_ / "consumer.log"));
        }
        testing::sleep_ms(50);
    }
}

void Line::empty_table(const std::string& table) {
    const bool is_packed = leader_.number(
                               "SELECT count(*) FROM pg_class WHERE relkind = 'v'"
                               " AND oid = '" +
                               table + "'::regclass") == 1;
    leader_.query("TRUNCATE " + (is_packed ? table + "_rows, " + table + "_packs" : table));
    leader_.query("CHECKPOINT");
}

}  // namespace homeward::bench
