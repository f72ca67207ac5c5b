#pragma once

// What the examples serve: orders in PostgreSQL. Knows neither HTTP nor regions but for the role of
// the server that it finds.

#include <homeward/replay/libpqxx.hpp>
#include <pqxx/pqxx>

#include <optional>
#include <string>

/// CREATE TABLE orders (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text);
/// One connection a thread, made when first needed and again when it broke. Any thread.
class Orders {
  public:
    explicit Orders(std::string url) : url_(std::move(url)) {}

    /// The item; nothing when there is no such order.
    std::optional<std::string> find(const std::string& id) const;
    /// The new order's id, committed; nothing when that item is ordered already.
    std::optional<std::string> add(const std::string& item) const;
    /// What this thread has committed, for the session's token.
    homeward::replay::Position seen() const;
    /// Of the server that this thread is connected to.
    homeward::replay::ServerRole role() const;

  private:
    pqxx::connection& connection() const;

    std::string url_;
};
