#include "publisher/replay/examples/orders.hpp"

#include <map>
#include <memory>

pqxx::connection& Orders::connection() const {
    thread_local std::map<std::string, std::unique_ptr<pqxx::connection>> open;
    auto& found = open[url_];
    if (found == nullptr || !found->is_open()) found = std::make_unique<pqxx::connection>(url_);
    return *found;
}

std::optional<std::string> Orders::find(const std::string& id) const {
    pqxx::read_transaction work(connection());
    const pqxx::result rows = work.exec_params("SELECT item FROM orders WHERE id = $1::int8", id);
    if (rows.empty()) return std::nullopt;
    return rows[0][0].as<std::string>();
}

std::optional<std::string> Orders::add(const std::string& item) const {
    pqxx::work work(connection());
    if (!work.exec_params("SELECT FROM orders WHERE item = $1", item).empty()) return std::nullopt;
    // On a replica this throws SQLSTATE 25006.
    const auto row = work.exec_params1("INSERT INTO orders (item) VALUES ($1) RETURNING id", item);
    work.commit();
    return row[0].as<std::string>();
}

homeward::replay::Position Orders::seen() const {
    return homeward::replay::committed_position(connection()).value();
}

homeward::replay::ServerRole Orders::role() const {
    try {
        return homeward::replay::server_role(connection());
    } catch (const pqxx::failure&) {
        return homeward::replay::ServerRole::unknown;
    }
}
