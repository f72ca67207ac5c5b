#pragma once

#include <mysql.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "tests/support/servers/mariadb_server.hpp"

namespace homeward::testing {

/// One connection of the user `app` that stays open. One thread.
class MariadbSession {
  public:
    explicit MariadbSession(int port, const char* user = "app") : handle_(mysql_init(nullptr)) {
        if (mysql_real_connect(get(), "127.0.0.1", user, nullptr, "shop",
                               static_cast<unsigned>(port), nullptr, 0) == nullptr) {
            throw std::runtime_error(mysql_error(get()));
        }
    }

    MYSQL* get() const { return handle_.get(); }

    /// The first column of the first row; "" when there is none. Throws with the server's message.
    std::string ask(const std::string& sql) const {
        if (mysql_query(get(), sql.c_str()) != 0) throw std::runtime_error(mysql_error(get()));
        MYSQL_RES* result = mysql_store_result(get());
        if (result == nullptr) return "";
        const MYSQL_ROW row = mysql_fetch_row(result);
        std::string text = row == nullptr || row[0] == nullptr ? "" : row[0];
        mysql_free_result(result);
        return text;
    }

  private:
    struct Close {
        void operator()(MYSQL* handle) const { mysql_close(handle); }
    };
    std::unique_ptr<MYSQL, Close> handle_;
};

}  // namespace homeward::testing
