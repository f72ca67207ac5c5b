#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace homeward::replay {

/// A GTID position of MariaDB: the last sequence number of each replication domain.
class MariadbGtids {
  public:
    /// @param text "0-1-100,1-2-7"
    /// @return nothing if it is anything else; an empty position for ""
    static std::optional<MariadbGtids> parse(std::string_view text);
    /// Whether all of `other` is there. Within a domain transactions are in one order, whichever
    /// server they come from.
    bool contains(const MariadbGtids& other) const;
    bool is_empty() const { return last_.empty(); }

  private:
    std::map<std::uint32_t, std::uint64_t> last_;
};

/// A GTID set of MySQL: intervals of transaction numbers for each server.
class MysqlGtids {
  public:
    /// @param text "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7,…", with white space as MySQL has it
    /// @return nothing if it is anything else; an empty set for ""
    static std::optional<MysqlGtids> parse(std::string_view text);
    bool contains(const MysqlGtids& other) const;
    /// The part of one server as text, "<uuid>:1-5:7"; "" if it has none.
    std::string part_of(const std::string& uuid) const;
    bool is_empty() const { return intervals_.empty(); }

  private:
    /// First and last, both included; in order, and never touching.
    using Interval = std::pair<std::uint64_t, std::uint64_t>;
    static bool add(std::string_view text, std::vector<Interval>& intervals);

    std::map<std::string, std::vector<Interval>> intervals_;
};

}  // namespace homeward::replay
