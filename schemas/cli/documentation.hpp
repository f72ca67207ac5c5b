#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>

namespace homeward::cli {

/// Writes man1/*.1, bash/PROGRAM and zsh/_PROGRAM below `directory`. The build calls it by the
/// hidden option --write-documentation. Throws std::runtime_error.
void write_documentation(const CLI::App& program, const std::filesystem::path& directory);

}  // namespace homeward::cli
