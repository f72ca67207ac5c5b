#pragma once

#include <cstddef>
#include <vector>

namespace homeward::consumer {

/// How much trials of one and the same setting differ, for a quantity that is measured by ratios.
struct Spread {
    double log_sd = 0;        ///< of one trial, with what a whole round was slower taken out
    std::size_t degrees = 0;  ///< of freedom; 0: nothing is known of the noise
    /// Half of the 95% interval of a setting's mean, as a part of it: 0.04 for ±4 %.
    double error = 0;
    /// Two settings whose ratio is below this cannot be told apart: 95% for all comparisons of one
    /// setting with the others together, so that the best of many is not best by luck.
    double least_ratio = 1;
};

/// `values[setting][round]`, all above 0 and of the same number of rounds. Settings were measured
/// in turn within a round, so what made a round slower made all of it slower: a two-way analysis of
/// the logarithms.
Spread spread_of(const std::vector<std::vector<double>>& values);

/// Student's t: |t| stays below it with this probability.
double student_quantile(double probability, std::size_t degrees);

}  // namespace homeward::consumer
