#pragma once

// What the examples serve: orders in PostgreSQL. Knows neither HTTP nor regions.

#include <homeward/replay/libpqxx.hpp>
#include <pqxx/pqxx>

#include <cstdint>
#include <optional>
#include <string>

/// CREATE TABLE orders (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text);
/// One connection a thread. Any thread.
class Orders {
  public:
    explicit Orders(std::string url) : url_(std::move(url)) {}

    /// The item; nothing when there is no such order.
    std::optional<std::string> find(const std::string& id) const;
    /// The new order's id, committed; nothing when that item is ordered already.
    std::optional<std::string> add(const std::string& item) const;
    /// This thread's.
    pqxx::connection& connection() const { return homeward::replay::thread_connection(url_); }

  private:
    std::string url_;
};

/// So many orders of one item can be placed.
inline constexpr int kOrdersPerItemMax = 100;
/// Places an order: two statements, and those that begin and commit. The new order's id; nothing
/// when the item is sold out.
std::optional<std::string> place_order(pqxx::work& work, const std::string& item);

/// PORT of the environment. Throws when it is missing or wrong.
std::uint16_t port();
