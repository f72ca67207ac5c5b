#include "publisher/spool/find_runs.hpp"

namespace homeward {

std::string explain(const Run::Found& found) {
    const std::string where = "spool " + found.directory.string();
    switch (found.finding) {
        case Run::Finding::left:
        case Run::Finding::alive:
        case Run::Finding::none:
            return "";
        case Run::Finding::damaged:
            return where +
                   ": run.json, or the key that signs its frames, is damaged, so nobody can say "
                   "whose events these are; it is left as it is, for an operator to look at";
        case Run::Finding::newer:
            return where +
                   " was written by a newer Homeward and is left as it is; drain it with "
                   "that version's homeward-spool";
        case Run::Finding::unreadable:
            return where +
                   " cannot be read or locked; it is left as it is. Check whose files "
                   "these are";
    }
    return "";
}

std::vector<Run::Found> find_runs(const std::filesystem::path& spool,
                                  Run::Found (*find)(const std::filesystem::path&)) {
    std::vector<Run::Found> found;
    for (const auto& path : entries_of(spool)) {
        if (is_real_directory(path)) found.push_back(find(path));
    }
    return found;
}

}  // namespace homeward
