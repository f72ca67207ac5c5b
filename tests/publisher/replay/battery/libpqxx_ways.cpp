#include <homeward/replay/libpqxx.hpp>

#include <memory>

#include "tests/publisher/replay/ways.hpp"

namespace homeward::testing {
namespace {

using Connection = std::shared_ptr<pqxx::connection>;
using Statement = std::function<void(pqxx::connection& connection, const std::string& sql)>;

std::function<std::string(const std::string&)> on(const PostgresServer& server, Statement run) {
    const auto connection = std::make_shared<pqxx::connection>(server.url());
    return [connection, run = std::move(run)](const std::string& sql) -> std::string {
        try {
            run(*connection, sql);
            return "";
        } catch (const std::exception& error) {
            const std::string state = replay::sqlstate_of(error);
            return state.empty() ? std::string("no SQLSTATE: ") + error.what() : state;
        }
    };
}

template <typename Transaction>
void run_in(pqxx::connection& connection, const std::string& sql) {
    Transaction transaction(connection);
    transaction.exec(sql);
    transaction.commit();
}

void run_prepared(pqxx::connection& connection, const std::string& sql) {
    static int number = 0;
    const std::string name = "statement" + std::to_string(++number);
    connection.prepare(name, sql);
    pqxx::work transaction(connection);
    transaction.exec_prepared(name);
    transaction.commit();
}

template <typename Transaction>
void run_in_pipeline(pqxx::connection& connection, const std::string& sql) {
    Transaction transaction(connection);
    pqxx::pipeline pipeline(transaction);
    const auto first = pipeline.insert("SELECT 1");
    const auto second = pipeline.insert(sql);
    pipeline.retrieve(first);
    pipeline.retrieve(second);
    pipeline.complete();
    transaction.commit();
}

void run_in_subtransaction(pqxx::connection& connection, const std::string& sql) {
    pqxx::work transaction(connection);
    pqxx::subtransaction inner(transaction);
    inner.exec(sql);
    inner.commit();
    transaction.commit();
}

void stream_in(pqxx::connection& connection) {
    pqxx::work transaction(connection);
#if PQXX_VERSION_MAJOR < 7
    pqxx::stream_to stream(transaction, "note", std::vector<std::string>{"id", "n"});
    stream << std::make_tuple(4, 4);
#else
    auto stream = pqxx::stream_to::table(transaction, {"note"}, {"id", "n"});
    stream.write_values(4, 4);
#endif
    stream.complete();
    transaction.commit();
}

class Listener : public pqxx::notification_receiver {
  public:
    explicit Listener(pqxx::connection& connection)
        : pqxx::notification_receiver(connection, "news") {}
    void operator()(const std::string&, int) override {}
};

void read_with_cursor(pqxx::connection& connection) {
    pqxx::work transaction(connection);
    pqxx::icursorstream cursor(transaction, "SELECT nextval('number')", "hand", 10);
    pqxx::result rows;
    cursor >> rows;
}

}  // namespace

std::vector<Way> libpqxx_ways(const PostgresServer& server) {
    return {
        {"work", on(server, run_in<pqxx::work>)},
        {"read_transaction", on(server, run_in<pqxx::read_transaction>)},
        {"nontransaction", on(server, run_in<pqxx::nontransaction>), false},
        {"exec_params", on(server,
                           [](pqxx::connection& connection, const std::string& sql) {
                               pqxx::work transaction(connection);
                               transaction.exec_params(sql);
                               transaction.commit();
                           })},
        {"prepared", on(server, run_prepared)},
        {"pipeline", on(server, run_in_pipeline<pqxx::work>), true, false},
        {"pipeline in a nontransaction", on(server, run_in_pipeline<pqxx::nontransaction>), false,
         false},
        {"subtransaction", on(server, run_in_subtransaction), true, false},
    };
}

std::vector<Way> libpqxx_own_ways(const PostgresServer& server) {
    const auto own = [&](void (*run)(pqxx::connection&)) {
        return on(server,
                  [run](pqxx::connection& connection, const std::string&) { run(connection); });
    };
    return {
        {"stream_to", own(stream_in)},
        {"notification_receiver",
         own([](pqxx::connection& connection) { const Listener listener(connection); })},
        {"icursorstream", own(read_with_cursor)},
        {"transaction<serializable>", own([](pqxx::connection& connection) {
             run_in<pqxx::transaction<pqxx::isolation_level::serializable>>(connection, "SELECT 1");
         })},
        {"robusttransaction", own([](pqxx::connection& connection) {
             run_in<pqxx::robusttransaction<>>(connection, "SELECT 1");
         })},
    };
}

}  // namespace homeward::testing
