#pragma once

// Events of columns as JSON, for whoever reads events one by one: dead letters, tools, tests.

#include <cstddef>
#include <string>

#include "schemas/columns/decoder.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::columns {

/// Appends one event of a block as a line of body kind 1, without '\n': as append_record_json()
/// would have written it.
void append_line(std::string& out, const Block& block, std::size_t event);

/// Makes a body of columns one of lines. False: it is damaged; `content` is unspecified.
bool to_lines(FrameContent& content, std::uint32_t events);

}  // namespace homeward::columns
