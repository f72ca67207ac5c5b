#include "consumer/tune/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace homeward::consumer {
namespace {

constexpr double kWidth = 520, kHeight = 300;
constexpr double kLeft = 62, kRight = 96, kTop = 46, kBottom = 50;
constexpr int kGridLines = 4;
constexpr int kColors = 4;
/// Two names in the margin come no nearer than this.
constexpr double kNameHeight = 14;

constexpr const char* kStyle =
    "<style>.plot{font:12px system-ui,sans-serif;fill:#334}.plot .grid{stroke:#8884;stroke-width:1}"
    ".plot path{fill:none;stroke-width:2.2}.plot .error{stroke-width:1.2}.plot "
    ".title{font-weight:600;font-size:14px}"
    ".plot .c0{stroke:#2563eb}.plot .c1{stroke:#d97706}.plot .c2{stroke:#059669}"
    ".plot .c3{stroke:#9333ea}.plot .n0{fill:#2563eb}.plot .n1{fill:#b45309}"
    ".plot .n2{fill:#047857}.plot .n3{fill:#9333ea}"
    "@media(prefers-color-scheme:dark){.plot{fill:#cdd3da}.plot .c0{stroke:#7aa5ff}"
    ".plot .c1{stroke:#f5b14c}.plot .c2{stroke:#4ade9f}.plot .c3{stroke:#c792ff}"
    ".plot .n0{fill:#7aa5ff}.plot .n1{fill:#f5b14c}.plot .n2{fill:#4ade9f}"
    ".plot .n3{fill:#c792ff}}</style>";

std::string formatted(const char* format, double value) {
    std::array<char, 48> text;
    std::snprintf(text.data(), text.size(), format, value);
    return text.data();
}

std::string at(double value) {
    return formatted("%.1f", value);
}

/// 1, 2 or 5 times a power of ten, so that kGridLines steps reach `most`.
double grid_step(double most) {
    const double least = std::max(most, 1e-9) / kGridLines;
    const double power = std::pow(10, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
        if (factor * power >= least) return factor * power;
    }
    return 10 * power;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text,
                    const std::string& kind = "") {
    return "<text x=\"" + at(x) + "\" y=\"" + at(y) + "\" text-anchor=\"" + anchor + "\"" +
           (kind.empty() ? "" : " class=\"" + kind + "\"") + ">" + html_text(text) + "</text>";
}

class Drawing {
  public:
    explicit Drawing(const Plot& plot) : plot_(plot) {
        double most = 0;
        for (const PlotLine& line : plot.lines) {
            for (const double value : line.values) most = std::max(most, value * (1 + line.error));
        }
        step_ = grid_step(most);
        top_ = step_ * std::max(std::ceil(most / step_), 1.0);
    }

    std::string svg() const {
        std::string out =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\""
            " viewBox=\"0 0 520 300\"><title>" +
            html_text(plot_.title) + "</title>" + kStyle;
        out += text_at(kLeft, 16, "start", plot_.title, "title");
        out += text_at(kLeft, 32, "start", plot_.y_label);
        out += text_at((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", plot_.x_label);
        return out + grid() + lines() + names() + "</svg>";
    }

  private:
    double x(std::size_t place) const {
        const double width = kWidth - kLeft - kRight;
        const auto count = static_cast<double>(plot_.places.size());
        if (count < 2) return kLeft + width / 2;
        return kLeft + 10 + (width - 20) * static_cast<double>(place) / (count - 1);
    }
    double y(double value) const {
        return kHeight - kBottom - (kHeight - kTop - kBottom) * value / top_;
    }

    std::string grid() const {
        std::string out;
        for (double value = 0; value <= top_ * 1.001; value += step_) {
            out += "<path class=\"grid\" d=\"M" + at(kLeft) + " " + at(y(value)) + "H" +
                   at(kWidth - kRight) + "\"/>";
            out += text_at(kLeft - 6, y(value) + 4, "end", short_number(value));
        }
        for (std::size_t i = 0; i < plot_.places.size(); ++i) {
            out += text_at(x(i), kHeight - kBottom + 18, "middle", plot_.places[i]);
        }
        return out;
    }

    std::string lines() const {
        std::string out;
        for (std::size_t i = 0; i < plot_.lines.size(); ++i) {
            const PlotLine& line = plot_.lines[i];
            const std::string color = std::to_string(i % kColors);
            std::string path;
            for (std::size_t place = 0; place < line.values.size(); ++place) {
                if (std::isnan(line.values[place])) continue;
                const std::string point = at(x(place)) + " " + at(y(line.values[place]));
                path += (path.empty() ? "M" : "L") + point;
                out += "<circle class=\"n" + color + "\" cx=\"" + at(x(place)) + "\" cy=\"" +
                       at(y(line.values[place])) + "\" r=\"3\"/>";
                out += error_bar(line, place, color);
            }
            out += "<path class=\"c" + color + "\" d=\"" + path + "\"" +
                   (line.dashed ? " stroke-dasharray=\"5 4\"" : "") + "/>";
        }
        return out;
    }

    std::string error_bar(const PlotLine& line, std::size_t place, const std::string& color) const {
        if (line.error <= 0) return "";
        const double value = line.values[place];
        const double high = y(value * (1 + line.error)), low = y(value / (1 + line.error));
        return "<path class=\"error c" + color + "\" d=\"M" + at(x(place)) + " " + at(high) + "V" +
               at(low) + "M" + at(x(place) - 4) + " " + at(high) + "h8M" + at(x(place) - 4) + " " +
               at(low) + "h8\"/>";
    }

    /// Beside the ends of their lines, moved apart where these lie close.
    std::string names() const {
        std::vector<std::pair<double, std::size_t>> ends;
        for (std::size_t i = 0; i < plot_.lines.size(); ++i) {
            const auto& values = plot_.lines[i].values;
            const auto last = std::find_if(values.rbegin(), values.rend(),
                                           [](double value) { return !std::isnan(value); });
            if (last != values.rend()) ends.emplace_back(y(*last), i);
        }
        std::sort(ends.begin(), ends.end());
        std::string out;
        double free = 0;
        for (const auto& [end, i] : ends) {
            const double place = std::max(end, free);
            free = place + kNameHeight;
            out += text_at(kWidth - kRight + 8, place + 4, "start", plot_.lines[i].name,
                           "n" + std::to_string(i % kColors));
        }
        return out;
    }

    const Plot& plot_;
    double step_ = 1;
    double top_ = 1;
};

}  // namespace

std::string to_svg(const Plot& plot) {
    return Drawing(plot).svg();
}

std::string short_number(double value) {
    const double size = std::fabs(value);
    if (size >= 1e6) return formatted("%.3g M", value / 1e6);
    if (size >= 1e4) return formatted("%.3g k", value / 1e3);
    if (size >= 100) return formatted("%.0f", value);
    return formatted("%.3g", value);
}

std::string html_text(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
            out += "&#" + std::to_string(static_cast<int>(c)) + ";";
        } else {
            out += c;
        }
    }
    return out;
}

}  // namespace homeward::consumer
