#include "tests/bench/support/report.hpp"

#include <array>
#include <cstdio>
#include <fstream>

#include <nlohmann/json.hpp>

namespace homeward::bench {
namespace {

std::string formatted(const char* format, double value) {
    std::array<char, 64> text;
    std::snprintf(text.data(), text.size(), format, value);
    return text.data();
}

bool is_on_ratio(const Budget& budget) {
    return budget.on == Budget::On::ratio_max || budget.on == Budget::On::ratio_min;
}
bool is_maximum(const Budget& budget) {
    return budget.on == Budget::On::value_max || budget.on == Budget::On::ratio_max;
}

/// What the limit bounds, for programs.
const char* limit_on(Budget::On on) {
    switch (on) {
        case Budget::On::nothing:
            return "nothing";
        case Budget::On::value_max:
            return "value_max";
        case Budget::On::value_min:
            return "value_min";
        case Budget::On::ratio_max:
            return "ratio_max";
        case Budget::On::ratio_min:
            return "ratio_min";
    }
    return "nothing";
}

}  // namespace

std::string short_number(double value) {
    const double size = std::fabs(value);
    if (size >= 1e9) return formatted("%.3g G", value / 1e9);
    if (size >= 1e6) return formatted("%.3g M", value / 1e6);
    if (size >= 1e4) return formatted("%.3g k", value / 1e3);
    if (size >= 100) return formatted("%.0f", value);
    return formatted("%.3g", value);
}

std::string short_duration(double ns) {
    if (ns >= 1e9) return formatted("%.3g s", ns / 1e9);
    if (ns >= 1e6) return formatted("%.3g ms", ns / 1e6);
    if (ns >= 1e3) return formatted("%.3g us", ns / 1e3);
    return formatted("%.3g ns", ns);
}

namespace {

std::string quantity(double value, const std::string& unit) {
    if (std::isnan(value)) return "-";
    if (unit == "ns") return short_duration(value);
    if (unit == "us") return short_duration(value * 1e3);
    if (unit == "ms") return short_duration(value * 1e6);
    return short_number(value) + " " + unit;
}

}  // namespace

bool Row::is_met() const {
    if (budget.on == Budget::On::nothing) return true;
    const double number = is_on_ratio(budget) ? ratio : value;
    // A number that could not be measured meets nothing: NaN compares false.
    return is_maximum(budget) ? number <= budget.limit : number >= budget.limit;
}

std::string Row::budget_text() const {
    if (budget.on == Budget::On::nothing) return "";
    return std::string(is_maximum(budget) ? "<= " : ">= ") +
           (is_on_ratio(budget) ? formatted("%g", budget.limit) + "x"
                                : quantity(budget.limit, unit));
}

Report::Report(std::filesystem::path json_lines) : json_lines_(std::move(json_lines)) {}

void Report::begin(const std::string& title) {
    std::printf("\n%s\n%-44s %14s  %-40s %8s  %-18s\n", title.c_str(), "what", "value",
                "compared with, in the same run", "ratio", "budget");
    std::fflush(stdout);
}

void Report::note(const std::string& text) {
    std::printf("  (%s)\n", text.c_str());
    std::fflush(stdout);
}

void Report::add(const Row& row) {
    const std::string value = quantity(row.value, row.unit);
    const std::string ratio = row.has_ratio() ? formatted("%.3g", row.ratio) + "x" : "";
    const std::string budget = row.budget_text();
    std::printf("%-44s %14s  %-40s %8s  %-14s %s\n", row.name.c_str(), value.c_str(),
                row.compared_with.c_str(), ratio.c_str(), budget.c_str(),
                budget.empty() ? "" : (row.is_met() ? "met" : "MISSED"));
    std::fflush(stdout);
    if (json_lines_.empty()) return;
    using Json = nlohmann::ordered_json;
    const auto or_null = [](bool is_there, Json something) {
        return is_there ? something : Json();
    };
    const Json json{{"name", row.name},
                    {"value", row.value},
                    {"unit", row.unit},
                    {"compared_with", or_null(!row.compared_with.empty(), row.compared_with)},
                    {"ratio", or_null(row.has_ratio(), row.ratio)},
                    {"budget", or_null(!budget.empty(), budget)},
                    {"limit", or_null(!budget.empty(), row.budget.limit)},
                    {"limit_on", or_null(!budget.empty(), limit_on(row.budget.on))},
                    {"met", or_null(!budget.empty(), row.is_met())}};
    std::ofstream(json_lines_, std::ios::app) << json.dump() << "\n";
}

}  // namespace homeward::bench
