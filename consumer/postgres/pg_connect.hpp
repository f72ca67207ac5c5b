#pragma once

#include <string>
#include <string_view>

struct pg_conn;

namespace homeward::consumer {

/// Connects by libpq, always in UTF8. Throws LeaderError with the server's SQLSTATE, or 08001 when
/// no server gave one.
pg_conn* pg_connect(const std::string& url);

/// The SQLSTATE in libpq's verbose messages of a connection that failed, in any language: of
/// several hosts' the one that an operator must act upon, else the first. Empty without any.
std::string sqlstate_in(std::string_view verbose_messages);

}  // namespace homeward::consumer
