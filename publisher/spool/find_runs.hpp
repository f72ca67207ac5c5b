#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "publisher/spool/run.hpp"

namespace homeward {

/// One sentence for an operator; empty for what needs none.
std::string explain(const Run::Found& found);
/// Every directory in `spool`, as Run::adopt() or Run::inspect() finds it.
std::vector<Run::Found> find_runs(const std::filesystem::path& spool,
                                  Run::Found (*find)(const std::filesystem::path&));

}  // namespace homeward
