#include "consumer/postgres/pg_connection.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <utility>

#include "schemas/text/json_text.hpp"

namespace homeward::consumer {
namespace {

/// What the server may take beyond its own timeout to answer.
constexpr std::chrono::milliseconds kAnswerMax{5'000};

std::chrono::milliseconds stall_max(const Config::Postgres& config) {
    if (config.statement_timeout_ms == 0) return {};
    return std::chrono::milliseconds(config.statement_timeout_ms) + kAnswerMax;
}

std::string trimmed(const char* text) {
    std::string result = text == nullptr ? "" : text;
    while (!result.empty() && (result.back() == '\n' || result.back() == ' ')) result.pop_back();
    return result;
}

/// What a session is like at its start, and what some settings are by default: behind a pooler,
/// somebody may have changed them.
constexpr const char* kSessionState =
    "SELECT pg_backend_pid(), pg_is_in_recovery() OR "
    "current_setting('transaction_read_only')::bool,"
    " current_setting('server_encoding'), c.reset_val, p.reset_val,"
    " strpos(p.reset_val, 'pg_catalog') > 1 FROM pg_settings c, pg_settings p"
    " WHERE c.name = 'synchronous_commit' AND p.name = 'search_path'";

}  // namespace

std::string version_complaint(int server_version) {
    constexpr int kOldest = 140000;
    if (server_version >= kOldest) return "";
    return "PostgreSQL " + std::to_string(server_version / 10000) +
           " is too old for the ledger, which needs multiranges; upgrade it to 14 or newer";
}

QueryResult::QueryResult(pg_result* result) : result_(result, PQclear) {}
int QueryResult::rows() const {
    return PQntuples(result_.get());
}
int QueryResult::columns() const {
    return PQnfields(result_.get());
}
std::string_view QueryResult::at(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column),
            static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}
bool QueryResult::is_null(int row, int column) const {
    return PQgetisnull(result_.get(), row, column) == 1;
}
std::int64_t QueryResult::number(int row, int column) const {
    return std::strtoll(PQgetvalue(result_.get(), row, column), nullptr, 10);
}
std::string_view QueryResult::column_name(int column) const {
    return PQfname(result_.get(), column);
}

Parameter Parameter::bytes(std::string_view value) {
    Parameter parameter(value);
    parameter.is_binary = true;
    return parameter;
}

std::string encoding_complaint(std::string_view encoding) {
    if (encoding == "UTF8") return "";
    return "the database is encoded in " + std::string(encoding) +
           ", which cannot store every event; create it anew with "
           "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0";
}

PgConnection::PgConnection(const std::string& url, const Config::Postgres& config)
    : connection_(pg_connect(url)),
      settings_(config, PQserverVersion(connection_)),
      calls_(connection_, stall_max(config)),
      ledger_schema_(config.ledger_schema) {
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
    PQsetnonblocking(connection_, 1);
    try {
        const std::string complaint = version_complaint(server_version());
        if (!complaint.empty()) throw LeaderError("0A000", complaint, "");
        begin_session();
        identity_ = read_identity();
    } catch (LeaderError& error) {
        PQfinish(connection_);
        if (!is_pooled_ || error.sqlstate().substr(0, 2) != "08") throw;
        throw LeaderError(error.sqlstate(),
                          std::string(error.what()) +
                              "; a pooler works with pool_mode = transaction or session, not with "
                              "statement",
                          "");
    } catch (...) {
        PQfinish(connection_);
        throw;
    }
}

/// Refuses what is no leader of ours, and sees to every setting.
void PgConnection::begin_session() {
    // Before anything is set: a pooler would hand it on to others. It invents the process that it
    // announces, as what serves us may be another after each transaction.
    PGresult* result = calls_.execute(kSessionState);
    check(result);
    const QueryResult state(result);
    is_pooled_ = state.number(0, 0) != PQbackendPID(connection_);
    if (state.at(0, 1) == "t") {
        throw LeaderError("25006", "this server is read-only, not the leader", "");
    }
    const std::string complaint = encoding_complaint(state.at(0, 2));
    if (!complaint.empty()) throw LeaderError("0A000", complaint, "");
    const std::string commit(state.at(0, 3));
    const std::string path(state.at(0, 4));
    // What is acknowledged must outlive a crash of the leader.
    if (is_pooled_ || commit == "off") {
        settings_.add("synchronous_commit", commit == "off" ? "on" : commit);
    }
    // The user's own triggers may need their path; but PostgreSQL's own functions come first.
    const bool is_late = state.at(0, 5) == "t";
    if (is_pooled_ || is_late) {
        settings_.add("search_path",
                      (is_late ? "pg_catalog, " : "") + (path.empty() ? "''" : path));
    }
    if (!is_pooled_) execute(settings_.for_session());
}

PgConnection::WithoutLimit::WithoutLimit(PgConnection& connection)
    : calls_(connection.calls_), before_(calls_.stall_max()) {
    calls_.set_stall_max({});
}
PgConnection::WithoutLimit::~WithoutLimit() {
    calls_.set_stall_max(before_);
}

PgConnection::~PgConnection() {
    PQfinish(connection_);
}

PgConnection::PgConnection(PgConnection&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)),
      settings_(std::move(other.settings_)),
      calls_(other.calls_),
      is_pooled_(other.is_pooled_),
      ledger_schema_(std::move(other.ledger_schema_)),
      identity_(std::move(other.identity_)) {}

LeaderIdentity PgConnection::read_identity() {
    // The name of the segment that is written to begins with the timeline, in hex.
    const QueryResult row = query(
        "SELECT system_identifier, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)"
        "::int4 FROM pg_control_system()");
    return {std::string(row.at(0, 0)), row.number(0, 1)};
}

void PgConnection::throw_error(pg_result* result) const {
    const auto field = [&](int code) {
        const char* text = result == nullptr ? nullptr : PQresultErrorField(result, code);
        return std::string(text == nullptr ? "" : text);
    };
    std::string sqlstate = field(PG_DIAG_SQLSTATE);
    std::string message = field(PG_DIAG_MESSAGE_PRIMARY);
    const std::string detail = field(PG_DIAG_MESSAGE_DETAIL);
    const std::string context = field(PG_DIAG_CONTEXT);
    if (message.empty()) message = trimmed(PQerrorMessage(connection_));
    if (!detail.empty()) message += "; " + detail;
    if (sqlstate.empty()) sqlstate = "08006";
    // A column of another type may find too few bytes in a row of a binary COPY, which PostgreSQL
    // calls a broken protocol (08P01). The connection is well: the row is an invalid binary
    // representation.
    const bool is_of_row =
        sqlstate == "08P01" && !context.empty() && PQstatus(connection_) == CONNECTION_OK;
    if (is_of_row) sqlstate = "22P03";
    LeaderError error(sqlstate, message, context);
    // A check that a row violates has a name; what a trigger raises has no table.
    error.set_lacks_partition(sqlstate == "23514" && field(PG_DIAG_CONSTRAINT_NAME).empty() &&
                              !field(PG_DIAG_TABLE_NAME).empty());
    PQclear(result);
    throw error;
}

void PgConnection::check(pg_result* result) const {
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN) return;
    throw_error(result);
}

std::string PgConnection::placed(const std::string& sql) const {
    const std::string_view name = kLedgerSchema;
    if (ledger_schema_ == name) return sql;
    const auto is_in_word = [&](std::size_t at) {
        return at < sql.size() && (std::isalnum(static_cast<unsigned char>(sql[at])) != 0 ||
                                   sql[at] == '_' || sql[at] == '-');
    };
    std::string result;
    std::size_t begin = 0;
    for (std::size_t at = 0; (at = sql.find(name, at)) != std::string::npos; at += name.size()) {
        if ((at > 0 && is_in_word(at - 1)) || is_in_word(at + name.size())) continue;
        result.append(sql, begin, at - begin).append(ledger_schema_);
        begin = at + name.size();
    }
    return result.append(sql, begin);
}

bool PgConnection::needs_settings() const {
    return is_pooled_ && PQtransactionStatus(connection_) == PQTRANS_IDLE;
}

/// With the settings in front of it where its transaction needs them: statements that are sent
/// together are one transaction, up to a COMMIT of their own.
std::string PgConnection::prepared(const std::string& sql) const {
    return needs_settings() ? settings_.for_transaction() + placed(sql) : placed(sql);
}

QueryResult PgConnection::execute(const std::string& sql) {
    PGresult* result = calls_.execute(prepared(sql));
    check(result);
    return QueryResult(result);
}

std::vector<QueryResult> PgConnection::execute_each(const std::string& sql) {
    const auto settings = static_cast<std::ptrdiff_t>(needs_settings() ? settings_.size() : 0);
    calls_.send(prepared(sql));
    std::vector<QueryResult> results;
    PGresult* failed = nullptr;
    while (PGresult* result = calls_.next_result()) {
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
            results.emplace_back(result);
        } else if (failed == nullptr) {
            failed = result;
        } else {
            PQclear(result);
        }
    }
    if (failed != nullptr) throw_error(failed);
    results.erase(results.begin(), results.begin() + settings);
    return results;
}

QueryResult PgConnection::query(const std::string& sql, const std::vector<Parameter>& parameters) {
    if (!needs_settings()) return send_query(sql, parameters);
    execute("BEGIN");
    try {
        QueryResult result = send_query(sql, parameters);
        execute("COMMIT");
        return result;
    } catch (const LeaderError&) {
        if (!is_broken()) PQclear(calls_.execute("ROLLBACK"));
        throw;
    }
}

void PgConnection::execute_alone(const std::string& sql) {
    const WithoutLimit unlimited(*this);
    PGresult* result = calls_.execute(placed(sql));
    check(result);
    PQclear(result);
}

/// Never a named statement: behind a pooler the next transaction would not know it.
QueryResult PgConnection::send_query(const std::string& sql,
                                     const std::vector<Parameter>& parameters) {
    std::vector<const char*> values;
    std::vector<int> lengths;
    std::vector<int> formats;
    for (const Parameter& parameter : parameters) {
        values.push_back(parameter.is_null ? nullptr : parameter.text.data());
        lengths.push_back(static_cast<int>(parameter.text.size()));
        formats.push_back(parameter.is_binary ? 1 : 0);
    }
    calls_.discard_results();
    if (PQsendQueryParams(connection_, placed(sql).c_str(), static_cast<int>(parameters.size()),
                          nullptr, values.data(), lengths.data(), formats.data(), 0) != 1) {
        throw_error(nullptr);
    }
    PGresult* result = calls_.last_result();
    check(result);
    return QueryResult(result);
}

void PgConnection::copy_begin(const std::string& sql) {
    copy_buffer_.clear();
    PGresult* result = calls_.execute(sql);
    try {
        check(result);
    } catch (LeaderError& error) {
        error.set_of_statement();
        throw;
    }
    PQclear(result);
}

void PgConnection::copy_data(std::string_view bytes) {
    constexpr std::size_t kTogetherBytes = 64u << 10;
    const bool is_large = bytes.size() > kTogetherBytes / 4;
    if (is_large || copy_buffer_.size() + bytes.size() > kTogetherBytes) {
        put(copy_buffer_);
        copy_buffer_.clear();
    }
    if (is_large) return put(bytes);
    copy_buffer_ += bytes;
}

void PgConnection::put(std::string_view bytes) {
    constexpr std::size_t kPieceBytes = 1u << 20;  // PQputCopyData takes an int
    while (!bytes.empty()) {
        const auto piece = bytes.substr(0, kPieceBytes);
        if (PQputCopyData(connection_, piece.data(), static_cast<int>(piece.size())) != 1) {
            PQclear(drain());
            throw_error(nullptr);
        }
        calls_.flush();
        bytes.remove_prefix(piece.size());
    }
}

void PgConnection::copy_end() {
    put(copy_buffer_);
    copy_buffer_.clear();
    if (PQputCopyEnd(connection_, nullptr) != 1) throw_error(nullptr);
    calls_.flush();
    PGresult* result = calls_.next_result();
    PGresult* failed = drain();
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        PQclear(failed);
        throw_error(result);
    }
    PQclear(result);
    if (failed == nullptr) return;
    try {
        throw_error(failed);
    } catch (LeaderError& error) {
        error.set_of_statement();
        throw;
    }
}

pg_result* PgConnection::drain() {
    PGresult* failed = nullptr;
    while (PGresult* rest = calls_.next_result()) {
        const ExecStatusType status = PQresultStatus(rest);
        const bool is_error = status == PGRES_FATAL_ERROR && failed == nullptr;
        if (is_error) {
            failed = rest;
        } else {
            PQclear(rest);
        }
        if (status == PGRES_COPY_IN || PQstatus(connection_) != CONNECTION_OK) break;
    }
    return failed;
}

bool PgConnection::is_broken() const {
    return PQstatus(connection_) != CONNECTION_OK;
}
int PgConnection::server_version() const {
    return PQserverVersion(connection_);
}

std::string PgConnection::quote(std::string_view identifier) const {
    char* quoted = PQescapeIdentifier(connection_, identifier.data(), identifier.size());
    if (quoted == nullptr) throw_error(nullptr);
    std::string result(quoted);
    PQfreemem(quoted);
    return result;
}

}  // namespace homeward::consumer
