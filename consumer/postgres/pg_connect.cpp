#include "consumer/postgres/pg_connect.hpp"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <vector>

#include "consumer/base/config.hpp"
#include "consumer/postgres/sqlstate.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

/// A dead peer is noticed within about 8 s, whatever the kernel's defaults, and a dead host among
/// several holds up a connect for 4 s: a promoted standby is written to soon.
constexpr const char* kDefaults[][2] = {
    {"connect_timeout", "4"},     {"keepalives_idle", "4"},
    {"keepalives_interval", "2"}, {"keepalives_count", "2"},
    {"tcp_user_timeout", "8000"}, {"fallback_application_name", "homeward-consumer"},
};
/// How long a second attempt may take to learn why the first has failed.
constexpr auto kDiagnosisMax = 1s;
/// An attempt that took as long has met a silent host, and would again.
constexpr auto kSilence = 3s;

struct ConnectionInfo {
    std::vector<const char*> names, values;

    explicit ConnectionInfo(const std::string& url) {
        for (const auto& [name, value] : kDefaults) add(name, value);
        // Behind the defaults, so that what the user's string says wins; but for the encoding.
        add("dbname", url.c_str());
        add("client_encoding", "UTF8");
        add(nullptr, nullptr);
    }
    void add(const char* name, const char* value) {
        names.push_back(name);
        values.push_back(value);
    }
};

std::string trimmed(const char* text) {
    std::string result = text == nullptr ? "" : text;
    while (!result.empty() && (result.back() == '\n' || result.back() == ' ')) result.pop_back();
    return result;
}

/// False when the time is over.
bool wait_for(const PGconn* connection, PostgresPollingStatusType what,
              SteadyClock::time_point deadline) {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now());
    pollfd socket{PQsocket(connection),
                  static_cast<short>(what == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    return rest > 0ms && ::poll(&socket, 1, static_cast<int>(rest.count())) > 0;
}

/// libpq keeps no SQLSTATE of a connection that failed, and its message is in the language of the
/// server. Verbose messages have the SQLSTATE, but a blocking connect cannot be asked for them.
std::string diagnose(const ConnectionInfo& info) {
    const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(
        PQconnectStartParams(info.names.data(), info.values.data(), 1), PQfinish);
    if (connection == nullptr || PQstatus(connection.get()) == CONNECTION_BAD) return "";
    PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
    const auto deadline = SteadyClock::now() + kDiagnosisMax;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        if (!wait_for(connection.get(), status, deadline)) return "";
        status = PQconnectPoll(connection.get());
    }
    return status == PGRES_POLLING_OK ? "" : sqlstate_in(PQerrorMessage(connection.get()));
}

bool is_sqlstate(std::string_view text) {
    return text.size() == 5 && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
           });
}

}  // namespace

std::string sqlstate_in(std::string_view messages) {
    // "SEVERITY:  28P01: text": two blanks in front of it, a colon behind it.
    std::string first;
    for (std::size_t at = 0; (at = messages.find("  ", at)) != std::string_view::npos; ++at) {
        const std::string_view word = messages.substr(at + 2, 5);
        const bool is_one = is_sqlstate(word) && messages.substr(at + 7, 1) == ":";
        if (!is_one) continue;
        if (classify(word, false) == ErrorClass::schema) return std::string(word);
        if (first.empty()) first = word;
    }
    return first;
}

pg_conn* pg_connect(const std::string& url) {
    const ConnectionInfo info(url);
    const auto started = SteadyClock::now();
    PGconn* connection = PQconnectdbParams(info.names.data(), info.values.data(), 1);
    if (PQstatus(connection) == CONNECTION_OK) return connection;
    const std::string message = trimmed(PQerrorMessage(connection));
    PQfinish(connection);
    std::string sqlstate;
    if (SteadyClock::now() - started < kSilence) sqlstate = diagnose(info);
    throw LeaderError(sqlstate.empty() ? "08001" : sqlstate, redact(message), "");
}

void PgCalls::wait_for(short events) const {
    const int socket = PQsocket(connection_);
    if (socket < 0) return;  // it is lost, as libpq will say
    pollfd ready{socket, events, 0};
    const int limit = stall_max_.count() == 0 ? -1 : static_cast<int>(stall_max_.count());
    int count = 0;
    do {
        count = ::poll(&ready, 1, limit);
    } while (count < 0 && errno == EINTR);
    if (count != 0) return;
    ::shutdown(socket, SHUT_RDWR);
    PQconsumeInput(connection_);  // so libpq knows
    throw LeaderError(
        "08006", "the leader has stalled: no answer for " + std::to_string(limit / 1'000) + " s",
        "");
}

void PgCalls::throw_lost() const {
    throw LeaderError("08006", trimmed(PQerrorMessage(connection_)), "");
}

void PgCalls::flush() const {
    while (PQflush(connection_) == 1) {
        wait_for(POLLIN | POLLOUT);
        if (PQconsumeInput(connection_) != 1) return;  // the next result tells
    }
}

pg_result* PgCalls::next_result() const {
    while (PQisBusy(connection_) == 1) {
        wait_for(POLLIN);
        if (PQconsumeInput(connection_) != 1) break;
    }
    return PQgetResult(connection_);
}

pg_result* PgCalls::last_result() const {
    flush();
    std::unique_ptr<PGresult, void (*)(PGresult*)> last(nullptr, PQclear);
    while (PGresult* result = next_result()) {
        last.reset(result);
        const bool is_lost = PQstatus(connection_) != CONNECTION_OK;
        if (PQresultStatus(result) == PGRES_COPY_IN || is_lost) break;
    }
    return last.release();
}

void PgCalls::send(const std::string& sql) const {
    discard_results();
    if (PQsendQuery(connection_, sql.c_str()) != 1) throw_lost();
    flush();
}

pg_result* PgCalls::execute(const std::string& sql) const {
    send(sql);
    return last_result();
}

void PgCalls::discard_results() const {
    while (PGresult* result = next_result()) {
        const bool is_copy = PQresultStatus(result) == PGRES_COPY_IN;
        PQclear(result);
        if (PQstatus(connection_) != CONNECTION_OK) break;
        if (!is_copy) continue;
        if (PQputCopyEnd(connection_, "given up") != 1) throw_lost();
        flush();
    }
}

}  // namespace homeward::consumer
