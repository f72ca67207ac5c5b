#include "publisher/replay/examples/orders.hpp"

#include <map>

std::unique_ptr<pqxx::connection>& Orders::slot() const {
    thread_local std::map<std::string, std::unique_ptr<pqxx::connection>> open;
    return open[url_];
}

pqxx::connection& Orders::connection() const {
    auto& found = slot();
    if (found == nullptr || !found->is_open()) found = std::make_unique<pqxx::connection>(url_);
    return *found;
}

std::optional<std::string> Orders::find(const std::string& id) const {
    pqxx::read_transaction work(connection());
    const pqxx::result rows = work.exec_params("SELECT item FROM orders WHERE id = $1::int8", id);
    if (rows.empty()) return std::nullopt;
    return rows[0][0].as<std::string>();
}

std::optional<Orders::Added> Orders::add(const std::string& item) const {
    Added added;
    {
        pqxx::work work(connection());
        if (!work.exec_params("SELECT FROM orders WHERE item = $1", item).empty()) {
            return std::nullopt;
        }
        // On a replica this throws SQLSTATE 25006.
        const auto row =
            work.exec_params1("INSERT INTO orders (item) VALUES ($1) RETURNING id", item);
        work.commit();
        added.id = row[0].as<std::string>();
    }
    added.seen = seen();
    return added;
}

/// Committed is committed: that the connection breaks now must not look like a failed write. A new
/// connection sees a later position, which is as good.
std::optional<homeward::replay::Position> Orders::seen() const {
    for (int tries = 0; tries < 2; ++tries) {
        try {
            return homeward::replay::committed_position(connection());
        } catch (const pqxx::failure&) {
            slot().reset();
        }
    }
    return std::nullopt;
}

homeward::replay::ServerRole Orders::role() const {
    try {
        return homeward::replay::server_role(connection());
    } catch (const pqxx::failure&) {
        return homeward::replay::ServerRole::unknown;
    }
}
