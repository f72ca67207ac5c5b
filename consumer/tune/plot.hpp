#pragma once

#include <string>
#include <vector>

namespace homeward::consumer {

/// A line of a plot: one value for each of the plot's places, in their order; NaN for none.
struct PlotLine {
    std::string name;
    std::vector<double> values;
    double error = 0;  ///< of each value, as a part of it: drawn as a bar; 0: none
    bool dashed = false;
};

/// Lines over a few places, which stand at equal distances as they are settings, not a scale.
struct Plot {
    std::string title;
    std::string x_label;
    std::string y_label;
    std::vector<std::string> places;
    std::vector<PlotLine> lines;
};

/// A whole SVG image: fits into a page, or stands alone; light or dark as its reader has it.
std::string to_svg(const Plot& plot);

/// 1234567 as "1.23 M"; three significant digits.
std::string short_number(double value);
/// Fit for HTML and SVG, also between quotes.
std::string html_text(const std::string& text);

}  // namespace homeward::consumer
