#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>

namespace homeward::cli {

/// Manual pages by name, as roff: one of the program and one of each of its commands, which
/// describes that command's own commands, too.
std::map<std::string, std::string> man_pages(const CLI::App& program);

}  // namespace homeward::cli
