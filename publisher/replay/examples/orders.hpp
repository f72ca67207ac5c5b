#pragma once

// What the examples serve: orders in PostgreSQL. Knows neither HTTP nor regions but for the role of
// the server that it finds.

#include <homeward/replay/libpqxx.hpp>
#include <pqxx/pqxx>

#include <memory>
#include <optional>
#include <string>

/// CREATE TABLE orders (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text);
/// One connection a thread, made when first needed and again when it broke. Any thread.
class Orders {
  public:
    explicit Orders(std::string url) : url_(std::move(url)) {}

    /// The item; nothing when there is no such order.
    std::optional<std::string> find(const std::string& id) const;
    struct Added {
        std::string id;
        std::optional<homeward::replay::Position> seen;  ///< for the session's token
    };
    /// The new order; nothing when that item is ordered already.
    std::optional<Added> add(const std::string& item) const;
    /// Of the server that this thread is connected to.
    homeward::replay::ServerRole role() const;

  private:
    std::unique_ptr<pqxx::connection>& slot() const;
    pqxx::connection& connection() const;
    std::optional<homeward::replay::Position> seen() const;

    std::string url_;
};
