// Every type of column through binary COPY into a real PostgreSQL, whose own reading of the same
// value as text, '…'::type, is the judge.

#include <algorithm>
#include <cstdio>
#include <set>

#include "consumer/decode/copy_row.hpp"
#include "consumer/decode/event_decoder.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/postgres/schema.hpp"
#include "tests/consumer/decode/column_samples.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::consumer;
using testing::ColumnSample;

namespace {

constexpr std::int64_t kNowUs = 1'790'000'000'000'000;
constexpr std::int64_t kYearUs = 366 * 86'400'000'000;

std::string type_of(const EventType& type, const std::string& column) {
    const Field& field = *type.find(column);
    return std::string(sql_name(field.column)) + (field.array ? "[]" : "");
}

/// Whether the type's input function takes the text.
bool is_taken(PgConnection& leader, const std::string& text, const std::string& type) {
    try {
        leader.query("SELECT ($1::text)::" + type, {text});
        return true;
    } catch (const LeaderError&) {
        return false;
    }
}

}  // namespace

TEST_CASE("a value is taken where PostgreSQL takes its text, and is then what PostgreSQL reads") {
    testing::PostgresServer server;
    Config config;
    config.postgres.url = server.url();
    PgConnection leader(config.postgres.url, config.postgres);
    const auto types = load_event_types(HOMEWARD_EVERY_COLUMN_TYPES);
    Schema(leader, config).apply(types);

    const std::vector<ColumnSample> samples = testing::column_samples();
    CHECK(samples.size() >= 800);
    EventDecoder decoder(std::make_shared<const Catalog>(types), {10 * kYearUs, kYearUs});
    std::string rows;
    std::vector<bool> is_row;
    std::set<std::string> columns_seen;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const ColumnSample& sample = samples[i];
        std::string line =
            R"({"type":"every_column",")" + sample.column + "\":" + sample.json + "}";
        line.reserve(line.size() + EventDecoder::padding());
        const EventOutcome outcome =
            decoder.decode(line, {1, static_cast<std::int64_t>(i), kNowUs}, kNowUs, rows);
        is_row.push_back(outcome.kind == EventOutcome::Kind::row);
        columns_seen.insert(sample.column);
        const bool pg_takes = is_taken(leader, sample.text, type_of(types[0], sample.column));
        INFO(line.substr(0, 200) << "\n" << outcome.reason);
        using Fate = ColumnSample::Fate;
        if (sample.fate == Fate::as_postgres) CHECK(is_row[i] == pg_takes);
        if (sample.fate == Fate::refused) CHECK((pg_takes && !is_row[i]));
        if (sample.fate == Fate::taken) CHECK(is_row[i]);
        if (!is_row[i]) CHECK(outcome.reason.find(sample.column) != std::string::npos);
    }
    CHECK(columns_seen.size() == types[0].fields.size());
    std::string columns = "origin, seq, time";
    for (const Field& field : types[0].fields) columns += ", " + field.name;
    leader.copy_begin("COPY every_column (" + columns + ", extra) FROM STDIN (FORMAT binary)");
    leader.copy_data(copy_header());
    leader.copy_data(rows);
    leader.copy_data(copy_trailer());
    leader.copy_end();

    for (std::size_t i = 0; i < samples.size(); ++i) {
        if (!is_row[i]) continue;
        const ColumnSample& sample = samples[i];
        const std::string type = type_of(types[0], sample.column);
        const QueryResult found = leader.query(
            "SELECT " + sample.column + "::text, ($1::text)::" + type + "::text, " + sample.column +
                " IS NOT DISTINCT FROM ($1::text)::" + type + " FROM every_column WHERE seq = $2",
            {sample.text, static_cast<std::int64_t>(i)});
        INFO(sample.column << " " << sample.json.substr(0, 200));
        REQUIRE(found.rows() == 1);
        // As text, too: -0 equals 0, and 1.0 equals 1.00.
        CHECK(found.at(0, 0) == found.at(0, 1));
        CHECK(found.at(0, 2) == "t");
    }
    std::printf("%zu values, %zu of them rows\n", samples.size(),
                static_cast<std::size_t>(std::count(is_row.begin(), is_row.end(), true)));
}

TEST_CASE("what the page says of columns is what the generator of these values says") {
    const std::string page = testing::read_file(HOMEWARD_SCHEMAS_PAGE);
    INFO(testing::column_table());
    CHECK(page.find(testing::column_table()) != std::string::npos);
}
