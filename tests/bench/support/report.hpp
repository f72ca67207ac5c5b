#pragma once

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

namespace homeward::bench {

/// What a row promises; the number is compared with the row's value or with its ratio.
struct Budget {
    enum class On : std::uint8_t { nothing, value_max, value_min, ratio_max, ratio_min };
    On on = On::nothing;
    double limit = 0;
};
inline Budget value_at_most(double limit) {
    return {Budget::On::value_max, limit};
}
inline Budget value_at_least(double limit) {
    return {Budget::On::value_min, limit};
}
inline Budget ratio_at_most(double limit) {
    return {Budget::On::ratio_max, limit};
}
inline Budget ratio_at_least(double limit) {
    return {Budget::On::ratio_min, limit};
}

/// One line of a bench's output.
struct Row {
    std::string name;  ///< what was measured, e.g. "emit p50, 1 thread"
    double value = 0;
    std::string unit;             ///< ns, ms, events/s, …
    std::string compared_with{};  ///< who else, and their number in the same run; empty: nobody
    double ratio = std::nan("");  ///< what it is of what, the row's name or its opponent says
    Budget budget{};

    bool has_ratio() const { return !std::isnan(ratio); }
    bool is_met() const;
    /// "<= 60 ns", ">= 5x"; empty without a budget.
    std::string budget_text() const;
};

/// Prints each row as it comes, and appends it to the file as one line of JSON. One thread.
class Report {
  public:
    /// `json_lines`: empty for none.
    explicit Report(std::filesystem::path json_lines);

    /// A heading above the rows that follow.
    void begin(const std::string& title);
    void add(const Row& row);
    /// Something a reader must know to judge the rows above.
    void note(const std::string& text);

  private:
    std::filesystem::path json_lines_;
};

/// 1234567 as "1.23 M"; three significant digits.
std::string short_number(double value);
/// 1234567 as "1.23 ms"; three significant digits.
std::string short_duration(double ns);

}  // namespace homeward::bench
