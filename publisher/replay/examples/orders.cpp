#include "publisher/replay/examples/orders.hpp"

#include <charconv>
#include <cstdlib>
#include <stdexcept>

std::optional<std::string> Orders::find(const std::string& id) const {
    if (id.empty() || id.find_first_not_of("0123456789") != id.npos) return std::nullopt;
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

std::optional<std::string> place_order(pqxx::work& work, const std::string& item) {
    const auto placed = work.exec_params1(
        "SELECT count(*) FROM (SELECT FROM orders WHERE item = $1 LIMIT $2) AS placed", item,
        kOrdersPerItemMax);
    if (placed[0].as<int>() == kOrdersPerItemMax) return std::nullopt;
    const auto row = work.exec_params1("INSERT INTO orders (item) VALUES ($1) RETURNING id", item);
    return row[0].as<std::string>();
}

std::uint16_t port() {
    const char* value = std::getenv("PORT");
    const std::string text = value == nullptr ? "" : value;
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
    throw std::runtime_error("PORT is \"" + text + "\": set it to the port to listen on");
}
