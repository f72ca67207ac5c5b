#include "consumer/tune/tune_report.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace homeward::consumer {
namespace {

using Table = std::vector<std::vector<std::string>>;

constexpr const char* kStyle = R"(
:root { --ink: #1c2024; --soft: #5b6570; --back: #f6f7f9; --card: #fff; --line: #dfe3e8; --ok: #2563eb }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa4ae; --back: #14171a;
  --card: #1d2125; --line: #333a41; --ok: #7aa5ff } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 68rem; padding: 1.2rem; background: var(--back);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.3rem } h2 { font-size: 1rem; margin: 0 0 .6rem }
.verdict { border-left: 4px solid var(--ok); background: var(--card); padding: .7rem 1rem;
  font-size: 1.05rem }
.soft { color: var(--soft) }
.plots { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)) }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem;
  margin: 1rem 0; overflow-x: auto }
.plots section { margin: 0 } pre { margin: 0; overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; white-space: nowrap; padding: .2rem .8rem .2rem 0;
  border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-weight: 500 }
)";

std::string short_ms(double ms) {
    return ms >= 1000 ? short_number(ms / 1000) + " s" : short_number(ms) + " ms";
}

std::string share_text(const StageSeconds& stages, Stage stage) {
    const double whole = stages.sum();
    const double share = whole > 0 ? 100 * stages[stage] / whole : 0;
    std::array<char, 16> text;
    std::snprintf(text.data(), text.size(), share < 10 ? "%.1f%%" : "%.0f%%", share);
    return text.data();
}

/// "±4 %"; empty where nothing is known of it.
std::string error_text(const Spread& spread) {
    if (spread.degrees == 0) return "";
    return " ±" + short_number(std::max(100 * spread.error, 0.1)) + " %";
}

Table full_table(const TuneResults& results) {
    Table table{{"rows_max", "writers", "rows/s", "rows/batch", "leader CPU s/M rows", "wait",
                 "decode", "COPY", "ledger", "COMMIT"}};
    for (const TrialResult& trial : results.full) {
        std::vector<std::string> row{
            std::to_string(trial.plan.batch.rows_max), std::to_string(trial.plan.batch.writers),
            short_number(trial.rows_per_second) + error_text(results.full_rate),
            short_number(trial.batch_rows()),
            short_number(trial.leader_cpu_s_per_million) + error_text(results.full_cpu)};
        for (const Stage stage :
             {Stage::wait, Stage::decode, Stage::copy, Stage::ledger, Stage::commit}) {
            row.push_back(share_text(trial.stages, stage));
        }
        table.push_back(row);
    }
    return table;
}

Table paced_table(const TuneResults& results) {
    Table table{{"rows_max", "delay_ms", "writers", "fresh p50", "fresh p99", "rows/batch",
                 "batches/s", "leader CPU s/M rows", "the load"}};
    for (const TrialResult& trial : results.paced) {
        const double rows = std::max(trial.batch_rows(), 1.0);
        const bool has_missed = trial.has_missed_load();
        table.push_back(
            {std::to_string(trial.plan.batch.rows_max), std::to_string(trial.plan.batch.delay_ms),
             std::to_string(trial.plan.batch.writers), short_ms(trial.fresh_p50_ms),
             short_ms(trial.fresh_p99_ms) + error_text(results.paced_fresh),
             short_number(trial.batch_rows()), short_number(trial.rows_per_second / rows),
             short_number(trial.leader_cpu_s_per_million) + error_text(results.paced_cpu),
             has_missed ? "missed: " + short_number(trial.rows_per_second) + "/s" : "kept up"});
    }
    return table;
}

std::string text_of(const Table& table) {
    std::vector<std::size_t> widths(table.front().size());
    for (const auto& row : table) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : table) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            out += std::string(widths[i] - row[i].size() + (i == 0 ? 0 : 2), ' ') + row[i];
        }
        out += "\n";
    }
    return out;
}

std::string html_of(const Table& table) {
    std::string out = "<table>";
    for (std::size_t i = 0; i < table.size(); ++i) {
        const std::string tag = i == 0 ? "th" : "td";
        out += "<tr>";
        for (const std::string& cell : table[i]) {
            out += "<" + tag + ">" + html_text(cell) + "</" + tag + ">";
        }
        out += "</tr>";
    }
    return out + "</table>";
}

std::string full_title() {
    return "As fast as it goes (a full batch does not wait for delay_ms)";
}
std::string paced_title(const TuneResults& results) {
    return "At " + short_number(results.load) + " events/s";
}

std::vector<std::string> texts(const std::vector<std::size_t>& values) {
    std::vector<std::string> result;
    for (const std::size_t value : values) result.push_back(std::to_string(value));
    return result;
}

/// A line for each number of writers, over rows_max.
template <typename Value>
Plot over_rows(const TuneResults& results, const std::string& title, const std::string& y_label,
               const Spread& spread, Value value) {
    Plot plot{title, "batch.rows_max", y_label, texts(results.rows_tried()), {}};
    for (const std::size_t writers : results.writers_tried()) {
        PlotLine line{
            std::to_string(writers) + (writers == 1 ? " writer" : " writers"), {}, spread.error};
        for (const std::size_t rows : results.rows_tried()) {
            const TrialResult* trial = results.full_of(rows, writers);
            line.values.push_back(trial == nullptr ? NAN : value(*trial));
        }
        plot.lines.push_back(line);
    }
    return plot;
}

/// A line for each rows_max, over delay_ms, with the present number of writers.
template <typename Value>
Plot over_delay(const TuneResults& results, const std::string& title, const std::string& y_label,
                const Spread& spread, Value value) {
    Plot plot{title, "batch.delay_ms", y_label, texts(results.delays_tried()), {}};
    for (const std::size_t rows : results.rows_tried()) {
        PlotLine line{short_number(static_cast<double>(rows)) + " rows", {}, spread.error};
        for (const std::size_t delay : results.delays_tried()) {
            const TrialResult* trial = results.paced_of(rows, delay, results.current.writers);
            line.values.push_back(trial == nullptr ? NAN : value(*trial));
        }
        plot.lines.push_back(line);
    }
    return plot;
}

double cpu_of(const TrialResult& trial) {
    return trial.leader_cpu_s_per_million;
}

}  // namespace

std::vector<std::pair<std::string, Plot>> tune_plots(const TuneResults& results) {
    const std::string load = "at " + short_number(results.load) + " events/s, " +
                             std::to_string(results.current.writers) + " writers";
    return {
        {"throughput",
         over_rows(results, "Throughput", "rows a second, as fast as it goes", results.full_rate,
                   [](const TrialResult& t) { return t.rows_per_second; })},
        {"freshness", over_delay(results, "Freshness", "p99 in ms, " + load, results.paced_fresh,
                                 [](const TrialResult& t) { return t.fresh_p99_ms; })},
        {"leader-cpu",
         over_delay(results, "Leader CPU against delay", "seconds for a million rows, " + load,
                    results.paced_cpu, cpu_of)},
        {"leader-cpu-full",
         over_rows(results, "Leader CPU against batch size",
                   "seconds for a million rows, as fast as it goes", results.full_cpu, cpu_of)},
    };
}

std::string toml_block(const Config::Batch& batch) {
    return "[batch]\nrows_max = " + std::to_string(batch.rows_max) +
           "\nbytes_max = " + std::to_string(batch.bytes_max) +
           "\ndelay_ms = " + std::to_string(batch.delay_ms) +
           "\nwriters = " + std::to_string(batch.writers) + "\n";
}

std::string text_report(const TuneResults& results, const Advice& advice) {
    std::string out = full_title() + "\n" + text_of(full_table(results)) + "\n" +
                      paced_title(results) + "\n" + text_of(paced_table(results)) +
                      "\nLeader CPU: " + results.cpu_source +
                      ". ± is the 95% interval of a mean.\n\n";
    for (const std::string& sentence : advice.sentences) out += sentence + "\n";
    return out + "\n" + toml_block(advice.batch);
}

std::string html_report(const TuneResults& results, const Advice& advice) {
    std::string out =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta http-equiv=\"Content-Security-Policy\""
        " content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<meta name=\"color-scheme\" content=\"light dark\"><title>homeward-consumer tune</title>"
        "<style>" +
        std::string(kStyle) + "</style></head><body><h1>Batch settings on your leader</h1>";
    out += "<p class=\"verdict\">" + html_text(advice.sentences.front()) + "</p>";
    for (std::size_t i = 1; i < advice.sentences.size(); ++i) {
        out += "<p>" + html_text(advice.sentences[i]) + "</p>";
    }
    out += "<section><h2>To paste</h2><pre>" + html_text(toml_block(advice.batch)) +
           "</pre></section><div class=\"plots\">";
    for (const auto& [name, plot] : tune_plots(results)) {
        out += "<section>" + to_svg(plot) + "</section>";
    }
    out += "</div><section><h2>" + html_text(full_title()) + "</h2>" +
           html_of(full_table(results)) + "</section><section><h2>" +
           html_text(paced_title(results)) + "</h2>" + html_of(paced_table(results)) + "</section>";
    return out + "<p class=\"soft\">PostgreSQL " + html_text(results.leader) +
           ", invented events of type " + html_text(results.type) +
           ", in a scratch schema that was dropped again. Leader CPU: " +
           html_text(results.cpu_source) +
           ". Every setting was measured several times, in turn with all others; bars and ± are "
           "the "
           "95% interval of a mean. A setting that \"missed\" wrote less than came, and is never "
           "recommended. Freshness is from arrival at the consumer until COMMIT came back. The "
           "last columns "
           "of "
           "the first table say where the writers' time went.</p></body></html>\n";
}

}  // namespace homeward::consumer
