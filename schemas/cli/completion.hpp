#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace homeward::cli {

/// Scripts that complete commands, options, and values where the option's placeholder says them:
/// files, directories, or one of several words.
std::string bash_completion(const CLI::App& program);
std::string zsh_completion(const CLI::App& program);

}  // namespace homeward::cli
