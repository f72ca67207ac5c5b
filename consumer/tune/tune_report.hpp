#pragma once

#include <string>
#include <utility>
#include <vector>

#include "consumer/tune/advice.hpp"
#include "consumer/tune/plot.hpp"

namespace homeward::consumer {

/// Two tables and the advice, for a terminal.
std::string text_report(const TuneResults& results, const Advice& advice);
/// The block to paste into the configuration.
std::string toml_block(const Config::Batch& batch);
/// One page with everything in it, plots included; loads nothing from anywhere.
std::string html_report(const TuneResults& results, const Advice& advice);
/// The plots, each with a name fit for a file.
std::vector<std::pair<std::string, Plot>> tune_plots(const TuneResults& results);

}  // namespace homeward::consumer
