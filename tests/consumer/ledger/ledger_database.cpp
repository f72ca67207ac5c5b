#include "tests/consumer/ledger/ledger_database.hpp"

#include "tests/support/catch.hpp"

namespace homeward::testing {

using namespace std::chrono_literals;

PostgresServer& LedgerDatabase::server() {
    static PostgresServer server({"max_locks_per_transaction = 10", "max_connections = 20"});
    return server;
}

LedgerDatabase::LedgerDatabase() {
    static int count = 0;
    constexpr const char* kTemplate = "ledger_template";
    if (count == 0) {
        name_ = kTemplate;
        server().query("CREATE DATABASE " + name_);
        const CommandResult applied = consumer({"schema", "apply"});
        INFO(applied.output);
        REQUIRE(applied.exit_code == 0);
    }
    name_ = "ledger_" + std::to_string(++count);
    server().query("CREATE DATABASE " + name_ + " TEMPLATE " + kTemplate);
}

std::string LedgerDatabase::url() const {
    std::string url = server().url();
    return url.replace(url.rfind("/postgres"), std::string::npos, "/" + name_);
}

ProcessOptions LedgerDatabase::options() const {
    ProcessOptions options;
    options.environment = {{"HOMEWARD_POSTGRES_URL", url()}, {"HOMEWARD_SOURCES", "ams"}};
    return options;
}

CommandResult LedgerDatabase::consumer(const std::vector<std::string>& words) const {
    std::vector<std::string> command{HOMEWARD_CONSUMER_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    return run_command(command, options());
}

Process LedgerDatabase::start_consumer(const std::vector<std::string>& words,
                                       const std::string& log) const {
    std::vector<std::string> command{HOMEWARD_CONSUMER_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    ProcessOptions with_log = options();
    with_log.log = log;
    return Process(command, with_log);
}

std::string LedgerDatabase::ask(const std::string& sql) const {
    CommandResult result = run_command(
        {"psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", url(), "-c", sql}, {}, 60s);
    INFO(sql << "\n" << result.output);
    REQUIRE(result.exit_code == 0);
    if (!result.output.empty()) result.output.pop_back();
    return result.output;
}

std::string LedgerDatabase::failure(const std::string& sql) const {
    const CommandResult result = run_command({"psql", "-X", "-q", url(), "-c", sql}, {}, 60s);
    CHECK(result.exit_code != 0);
    return result.output;
}

Process LedgerDatabase::start_psql(const std::string& sql) const {
    ProcessOptions quiet;
    quiet.log = "/dev/null";
    return Process({"psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", url(), "-c", sql}, quiet);
}

int LedgerDatabase::add_origin(int events) {
    const int origin = static_cast<int>(
        number("INSERT INTO homeward.origin (publisher, class, region, app)"
               " VALUES (gen_random_uuid(), 'audit', 'ams', 'shop') RETURNING id"));
    const std::string count = std::to_string(events);
    ask("SELECT homeward.settle(ARRAY[" + std::to_string(origin) + "], '{1}', ARRAY[" + count +
        "]::int8[], ARRAY[" + count + "]::int8[], '{true}')");
    return origin;
}

void LedgerDatabase::add_rows(int origin, int seq_first, int seq_last, int days_ago) const {
    const std::string day = "((now() AT TIME ZONE 'UTC')::date - " + std::to_string(days_ago) + ")";
    ask("SELECT homeward.ensure_partition('public', 'audit_events', " + day +
        "); INSERT INTO audit_events (origin, seq, time, actor, action, resource, outcome)"
        " SELECT " +
        std::to_string(origin) + ", s, " + day +
        "::timestamp AT TIME ZONE 'UTC' + s * interval '1 millisecond', 'user:' || s % 10,"
        " 'order.view', 'order:' || s, 'allowed' FROM generate_series(" +
        std::to_string(seq_first) + "::int8, " + std::to_string(seq_last) + ") AS s");
}

void LedgerDatabase::add_letter(int origin, int seq, const std::string& payload,
                                const std::string& state) const {
    ask("INSERT INTO homeward.dead_letter (origin, seq, state, type, reason, payload) VALUES (" +
        std::to_string(origin) + ", " + std::to_string(seq) + ", '" + state +
        "', 'audit', 'bad', convert_to($x$" + payload + "$x$, 'UTF8'))");
}

int LedgerDatabase::count_days() const {
    ask("SELECT b.counted_day FROM homeward.uncounted_days('0', '0', 100) AS d,"
        " LATERAL homeward.begin_day_count(d.table_schema, d.table_name, d.day) AS b");
    return static_cast<int>(
        number("SELECT count(homeward.finish_day_count(k.id, k.attempt))"
               " FROM homeward.counted_day k WHERE k.is_counting"));
}

}  // namespace homeward::testing
