#include "tests/bench/compared/plain_sink.hpp"

#include <endian.h>
#include <libpq-fe.h>
#include <nats/nats.h>

#include <memory>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace homeward::bench {
namespace {

constexpr int kFetch = 1'000;
constexpr std::int64_t kPatienceMs = 5'000;
constexpr std::int64_t kPostgresEpochUs = 946'684'800'000'000;
constexpr const char* kCopy =
    "COPY audit_events (origin, seq, time, actor, action, resource, outcome, request_id, detail)"
    " FROM STDIN (FORMAT binary)";

template <typename T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_number(std::string& out, std::int64_t value) {
    put(out, htobe32(8));
    put(out, htobe64(static_cast<std::uint64_t>(value)));
}
void put_text(std::string& out, const std::string& text) {
    put(out, htobe32(static_cast<std::uint32_t>(text.size())));
    out += text;
}

void append_row(std::string& out, const char* data, int bytes, std::int64_t seq) {
    const auto event = nlohmann::json::parse(data, data + bytes);
    put(out, htobe16(9));
    put(out, htobe32(4));
    put(out, htobe32(0));  // no origin
    put_number(out, seq);
    put_number(out, event.at("time").get<std::int64_t>() - kPostgresEpochUs);
    for (const char* field : {"actor", "action", "resource", "outcome", "request_id"}) {
        put_text(out, event.at(field).get_ref<const std::string&>());
    }
    put_text(out, '\1' + event.at("detail").dump());  // the version of jsonb's binary form
}

void run(PGconn* leader, const char* statement, ExecStatusType expected) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(leader, statement), PQclear);
    if (PQresultStatus(result.get()) == expected) return;
    throw std::runtime_error(std::string("sink: ") + PQerrorMessage(leader));
}

void copy(PGconn* leader, const natsMsgList& list, std::uint64_t seq) {
    std::string rows("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    for (int i = 0; i < list.Count; ++i) {
        append_row(rows, natsMsg_GetData(list.Msgs[i]), natsMsg_GetDataLength(list.Msgs[i]),
                   static_cast<std::int64_t>(++seq));
    }
    rows += "\377\377";
    run(leader, "BEGIN", PGRES_COMMAND_OK);
    run(leader, kCopy, PGRES_COPY_IN);
    PQputCopyData(leader, rows.data(), static_cast<int>(rows.size()));
    PQputCopyEnd(leader, nullptr);
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQgetResult(leader), PQclear);
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
        throw std::runtime_error(std::string("sink: ") + PQerrorMessage(leader));
    }
    while (PGresult* more = PQgetResult(leader)) PQclear(more);
    run(leader, "COMMIT", PGRES_COMMAND_OK);
}

}  // namespace

void sink_plain(const std::string& nats_url, const std::string& postgres_url,
                const std::string& stream, const std::string& durable, std::uint64_t messages) {
    const std::unique_ptr<PGconn, decltype(&PQfinish)> leader(PQconnectdb(postgres_url.c_str()),
                                                              PQfinish);
    natsConnection* connection = nullptr;
    jsCtx* jetstream = nullptr;
    natsSubscription* subscription = nullptr;
    jsSubOptions options;
    jsSubOptions_Init(&options);
    options.Stream = stream.c_str();
    options.Consumer = durable.c_str();  // bound, not made: it stays when we go
    natsStatus status = natsConnection_ConnectTo(&connection, nats_url.c_str());
    if (status == NATS_OK) status = natsConnection_JetStream(&jetstream, connection, nullptr);
    if (status == NATS_OK) {
        status = js_PullSubscribe(&subscription, jetstream, "", durable.c_str(), nullptr, &options,
                                  nullptr);
    }
    for (std::uint64_t taken = 0; status == NATS_OK && taken < messages;) {
        natsMsgList list{};
        status = natsSubscription_Fetch(&list, subscription, kFetch, kPatienceMs, nullptr);
        if (list.Count > 0) copy(leader.get(), list, taken);
        for (int i = 0; i < list.Count; ++i) natsMsg_Ack(list.Msgs[i], nullptr);
        taken += static_cast<std::uint64_t>(list.Count);
        natsMsgList_Destroy(&list);
    }
    natsSubscription_Destroy(subscription);
    if (jetstream != nullptr) jsCtx_Destroy(jetstream);
    natsConnection_Destroy(connection);
    if (status != NATS_OK) throw std::runtime_error(natsStatus_GetText(status));
}

}  // namespace homeward::bench
