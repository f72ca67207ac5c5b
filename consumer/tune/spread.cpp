#include "consumer/tune/spread.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace homeward::consumer {
namespace {

constexpr double kConfidence = 0.95;

/// Of |t| > x, by the integral of the density: exact enough, and without a table.
double tail_of(double x, double degrees) {
    const double scale = std::exp(std::lgamma((degrees + 1) / 2) - std::lgamma(degrees / 2)) /
                         std::sqrt(degrees * std::acos(-1.0));
    // In the angle a = atan(t / sqrt(degrees)) the density is a power of the cosine on an interval.
    const double begin = std::atan(x / std::sqrt(degrees)), end = std::acos(-1.0) / 2;
    constexpr int kSteps = 400;
    const double step = (end - begin) / kSteps;
    const auto density = [&](double angle) { return std::pow(std::cos(angle), degrees - 1); };
    double sum = density(begin) + density(end);
    for (int i = 1; i < kSteps; ++i) sum += density(begin + i * step) * (i % 2 == 1 ? 4 : 2);
    return 2 * scale * std::sqrt(degrees) * sum * step / 3;
}

double mean_of(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

}  // namespace

double student_quantile(double probability, std::size_t degrees) {
    assert(degrees > 0 && "without a degree of freedom nothing is bounded");
    double low = 0, high = 1'000;
    for (int i = 0; i < 60; ++i) {
        const double middle = (low + high) / 2;
        (tail_of(middle, static_cast<double>(degrees)) > 1 - probability ? low : high) = middle;
    }
    return high;
}

Spread spread_of(const std::vector<std::vector<double>>& values) {
    Spread spread;
    if (values.empty()) return spread;
    const std::size_t rounds = values.front().size();
    if (values.size() < 2 || rounds < 2) return spread;
    std::vector<double> by_round(rounds);
    std::vector<double> by_setting;
    for (const auto& setting : values) {
        assert(setting.size() == rounds && "every setting has every round");
        std::vector<double> logs;
        for (std::size_t round = 0; round < rounds; ++round) {
            logs.push_back(std::log(setting[round]));
            by_round[round] += logs.back() / static_cast<double>(values.size());
        }
        by_setting.push_back(mean_of(logs));
    }
    const double all = mean_of(by_setting);
    double squares = 0;
    for (std::size_t s = 0; s < values.size(); ++s) {
        for (std::size_t round = 0; round < rounds; ++round) {
            const double rest = std::log(values[s][round]) - by_setting[s] - by_round[round] + all;
            squares += rest * rest;
        }
    }
    spread.degrees = (values.size() - 1) * (rounds - 1);
    spread.log_sd = std::sqrt(squares / static_cast<double>(spread.degrees));
    const double of_mean = spread.log_sd / std::sqrt(static_cast<double>(rounds));
    const double each = 1 - (1 - kConfidence) / static_cast<double>(values.size() - 1);
    spread.error = std::expm1(student_quantile(kConfidence, spread.degrees) * of_mean);
    spread.least_ratio =
        std::exp(student_quantile(each, spread.degrees) * of_mean * std::sqrt(2.0));
    return spread;
}

}  // namespace homeward::consumer
