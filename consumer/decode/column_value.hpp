#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/text/rfc3339.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

// Text to the binary form of a PostgreSQL type; nullopt or false for what is none of the type.

/// PostgreSQL's number of a column's type, as arrays name the type of their elements.
std::uint32_t element_oid(ColumnType column);
using homeward::parse_rfc3339;
/// 16 bytes from 8-4-4-4-12 or 32 hex digits.
bool append_uuid(std::string_view text, std::string& out);
/// An address, or a network with its prefix length: "10.0.0.1", "2001:db8::/32".
bool append_inet(std::string_view text, std::string& out);
/// A decimal number, exactly: "-12.340", "1e10"; and "NaN", "Infinity", "-Infinity", of which only
/// PostgreSQL 14 and newer takes the infinities.
bool append_numeric(std::string_view text, std::string& out);

}  // namespace homeward::consumer
