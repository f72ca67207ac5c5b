#include "consumer/metrics/metrics.hpp"

#include <algorithm>
#include <cstdio>
#include <tuple>

namespace homeward::consumer {
namespace {

const std::vector<double> kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                   0.5,   1,      2.5,   5,    10,    60,   600, 3600};
/// Printed buckets of freshness: few enough for a Prometheus. Quantiles come from the fine ones.
const std::vector<double> kFreshnessShown{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                          0.25,  0.5,    1,     2.5,  5,     10,   30,
                                          60,    120,    300,   600,  1800,  3600, 21600};
const std::vector<double> kRows{1, 10, 100, 1'000, 2'500, 5'000, 10'000, 20'000, 50'000};

std::vector<double> fine_bounds() {
    constexpr double kStep = 1.05, kLast = 86'400;
    std::vector<double> bounds = kFreshnessShown;
    double bound = 0.001;
    while (bound < kLast * kStep) {
        bounds.push_back(bound);
        bound *= kStep;
    }
    std::sort(bounds.begin(), bounds.end());
    bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
    return bounds;
}

std::string number(double value) {
    std::array<char, 32> text;
    std::snprintf(text.data(), text.size(), "%.9g", value);
    return text.data();
}

void print_head(std::string& out, const std::string& name, const char* type, const char* help) {
    out += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void print_value(std::string& out, const std::string& name, const char* type, const char* help,
                 std::uint64_t value) {
    print_head(out, name, type, help);
    out += name + " " + std::to_string(value) + "\n";
}

/// A metric under its old name, until 1.0.
void print_renamed(std::string& out, const std::string& old_name, const char* type,
                   const std::string& name, std::uint64_t value) {
    print_value(out, old_name, type, ("Deprecated: use " + name + ".").c_str(), value);
}

void print_events(std::string& out, const Metrics& of) {
    print_value(out, "homeward_rows_total", "counter", "Rows committed to the leader.", of.rows);
    print_value(out, "homeward_row_bytes_total", "counter", "COPY bytes of these rows.",
                of.row_bytes);
    print_value(out, "homeward_batches_total", "counter", "Transactions committed.", of.batches);
    print_value(out, "homeward_messages_total", "counter", "Messages acknowledged.", of.messages);
    print_value(out, "homeward_message_bytes_total", "counter", "Bytes of messages taken.",
                of.message_bytes);
    print_value(out, "homeward_redelivered_total", "counter",
                "Messages that had been delivered before.", of.redelivered);
    print_value(out, "homeward_skipped_events_total", "counter",
                "Events that the ledger had settled already.", of.skipped_events);
    print_value(out, "homeward_replaced_nuls_total", "counter",
                "NUL characters replaced by U+FFFD.", of.replaced_nuls);
}

void print_dead_letters(std::string& out, const Metrics& of) {
    print_value(out, "homeward_dead_letters_total", "counter", "Events that could not become rows.",
                of.dead_letters);
    print_value(out, "homeward_parked_total", "counter", "Events of a type not known yet.",
                of.parked);
    print_value(out, "homeward_redriven_total", "counter",
                "Dead letters that this process has made rows of.", of.redriven);
    print_value(out, "homeward_delayed_naks_total", "counter",
                "Messages returned to their stream to come again later: held, or without room.",
                of.delayed_naks);
    print_renamed(out, "homeward_given_back_total", "counter", "homeward_delayed_naks_total",
                  of.delayed_naks);
    print_value(out, "homeward_newer_frames_total", "counter",
                "Deliveries of frames that only a newer consumer can read; they stay in their "
                "stream.",
                of.newer_frames);
    print_head(out, "homeward_dead_letters_waiting", "gauge",
               "Dead letters on the leader that are neither redriven nor discarded.");
    out += "homeward_dead_letters_waiting{state=\"open\"} " + std::to_string(of.letters_open) +
           "\n" + "homeward_dead_letters_waiting{state=\"parked\"} " +
           std::to_string(of.letters_parked) + "\n";
    print_value(out, "homeward_dead_letters_waiting_bytes", "gauge", "Size of their payloads.",
                of.letter_bytes);
    print_value(out, "homeward_dead_letter_quota_full", "gauge",
                "1 while there is no room for dead letters.", of.quota_full);
    print_renamed(out, "homeward_dead_letters_full", "gauge", "homeward_dead_letter_quota_full",
                  of.quota_full);
}

void print_ledger(std::string& out, const Metrics& of) {
    print_value(out, "homeward_holes", "gauge",
                "Events that origins have accepted and the leader has not settled.", of.holes);
    print_value(out, "homeward_holes_missing", "gauge",
                "Holes of origins not heard of for longer than events may be under way.",
                of.holes_missing);
    print_value(out, "homeward_tombstones_total", "counter",
                "Seqs that will never be rows, as their publishers reported.", of.tombstones);
    print_value(out, "homeward_conflicts_total", "counter",
                "Frames at odds with the ledger, quarantined.", of.conflicts);
    print_value(out, "homeward_compacted_frames_total", "counter",
                "Frames compacted into the ledger's ranges.", of.compacted_frames);
    print_renamed(out, "homeward_folded_frames_total", "counter", "homeward_compacted_frames_total",
                  of.compacted_frames);
}

void print_leader(std::string& out, const Metrics& of) {
    print_value(out, "homeward_leader_up", "gauge", "1 while the leader takes writes.",
                of.leader_up);
    print_value(out, "homeward_paused", "gauge",
                "1 while writing pauses because of an error that an operator must fix.", of.paused);
    print_value(out, "homeward_retries_total", "counter",
                "Attempts after an error of the leader or the way to it.", of.retries);
    print_value(out, "homeward_redos_total", "counter",
                "Batches written again with the ledger asked first.", of.redos);
    print_value(out, "homeward_acks_waiting", "gauge",
                "Committed batches whose acks wait for a standby.", of.acks_waiting);
    print_value(out, "homeward_failover_lacking_frames_total", "counter",
                "Frames that had been committed and that a new leader lacked.", of.lacking_frames);
}

void print_batches(std::string& out, const Metrics& of) {
    print_head(out, "homeward_writer_seconds_total", "counter",
               "How the writers spend their time, all together.");
    const StageSeconds spent = of.stages.read();
    for (std::size_t i = 0; i < kStages; ++i) {
        out += "homeward_writer_seconds_total{stage=\"" +
               std::string(to_string(static_cast<Stage>(i))) + "\"} " + number(spent.of[i]) + "\n";
    }
    const std::tuple<const char*, const char*, const Histogram*> histograms[] = {
        {"homeward_batch_rows", "Rows of a transaction.", &of.batch_rows},
        {"homeward_batch_delay_seconds",
         "How long the oldest message of a batch waited here until it was taken.",
         &of.batch_delay_seconds},
        {"homeward_batch_seconds", "From a batch's first attempt until it was committed.",
         &of.batch_seconds},
        {"homeward_batch_decode_seconds", "Messages into rows, on this machine.",
         &of.decode_seconds},
        {"homeward_batch_copy_seconds", "COPY, dead letters and tombstones.", &of.copy_seconds},
        {"homeward_batch_commit_seconds", "Ledger and COMMIT.", &of.commit_seconds},
    };
    for (const auto& [name, help, histogram] : histograms) {
        print_head(out, name, "histogram", help);
        histogram->print(out, name, "");
    }
}

void print_streams(std::string& out, const std::map<std::string, Metrics::Backlog>& backlogs,
                   const std::map<std::string, Metrics::StreamStatus>& statuses) {
    const std::tuple<const char*, const char*, std::uint64_t Metrics::Backlog::*> gauges[] = {
        {"homeward_pending_messages", "Messages that the stream has not delivered yet.",
         &Metrics::Backlog::pending},
        {"homeward_unacknowledged_messages",
         "Messages that the stream has delivered and not seen acknowledged.",
         &Metrics::Backlog::unacknowledged},
        {"homeward_stream_bytes", "Size of what the stream stores.", &Metrics::Backlog::bytes},
        {"homeward_stream_bytes_max", "What the stream may store; 0: no limit of its own.",
         &Metrics::Backlog::bytes_max},
        {"homeward_undeliverable_messages",
         "Messages that the stream stores and its durable will never deliver.",
         &Metrics::Backlog::undeliverable},
        {"homeward_max_deliver",
         "Deliveries after which the durable gives a message up; 0: never, as it must be.",
         &Metrics::Backlog::max_deliver},
    };
    for (const auto& [name, help, member] : gauges) {
        print_head(out, name, "gauge", help);
        for (const auto& [stream, backlog] : backlogs) {
            out += std::string(name) + "{stream=\"" + stream + "\"} " +
                   std::to_string(backlog.*member) + "\n";
        }
    }
    print_head(out, "homeward_stream_up", "gauge",
               "1 while the stream answers, 0 while it is away.");
    for (const auto& [stream, status] : statuses) {
        out += "homeward_stream_up{stream=\"" + stream + "\"} " + (status.is_up ? "1\n" : "0\n");
    }
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::observe(double value) {
    const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
    const auto index = static_cast<std::size_t>(bound - bounds_.begin());
    counts_[index].fetch_add(1, std::memory_order_relaxed);
    double sum = sum_.load(std::memory_order_relaxed);
    while (!sum_.compare_exchange_weak(sum, sum + value, std::memory_order_relaxed)) continue;
}

void Histogram::print(std::string& out, const std::string& name, const std::string& labels,
                      const std::vector<double>* shown) const {
    const std::string comma = labels.empty() ? "" : labels + ",";
    const std::string braces = labels.empty() ? "" : "{" + labels + "}";
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        total += counts_[i].load(std::memory_order_relaxed);
        const bool is_shown = shown == nullptr || i == bounds_.size() ||
                              std::binary_search(shown->begin(), shown->end(), bounds_[i]);
        if (!is_shown) continue;
        const std::string bound = i < bounds_.size() ? number(bounds_[i]) : "+Inf";
        out += name + "_bucket{" + comma + "le=\"" + bound + "\"} " + std::to_string(total) + "\n";
    }
    out += name + "_sum" + braces + " " + number(sum_.load()) + "\n";
    out += name + "_count" + braces + " " + std::to_string(total) + "\n";
}

double Histogram::quantile(double q) const {
    std::uint64_t total = 0;
    for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size() && total > 0; ++i) {
        seen += counts_[i].load(std::memory_order_relaxed);
        if (static_cast<double>(seen) >= q * static_cast<double>(total)) {
            return bounds_[std::min(i, bounds_.size() - 1)];
        }
    }
    return 0;
}

std::vector<std::uint64_t> Histogram::counts() const {
    std::vector<std::uint64_t> counts;
    for (const auto& count : counts_) counts.push_back(count.load(std::memory_order_relaxed));
    return counts;
}

Metrics::Metrics()
    : batch_rows(kRows),
      batch_delay_seconds(kSeconds),
      batch_seconds(kSeconds),
      decode_seconds(kSeconds),
      copy_seconds(kSeconds),
      commit_seconds(kSeconds) {}

Histogram& Metrics::freshness(const std::string& region, std::string_view kind) {
    const std::lock_guard lock(mutex_);
    const auto key = std::pair(region, std::string(kind));
    if (const auto found = freshness_.find(key); found != freshness_.end()) return found->second;
    return freshness_
        .emplace(std::piecewise_construct, std::forward_as_tuple(key),
                 std::forward_as_tuple(freshness_bounds()))
        .first->second;
}

Metrics::FreshnessCounts Metrics::freshness_counts() const {
    const std::lock_guard lock(mutex_);
    FreshnessCounts counts;
    for (const auto& [key, histogram] : freshness_) counts[key] = histogram.counts();
    return counts;
}

const std::vector<double>& Metrics::freshness_bounds() {
    static const std::vector<double> kBounds = fine_bounds();
    return kBounds;
}

void Metrics::set_pending(const std::string& stream, std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    backlogs_[stream].pending = count;
}

void Metrics::set_backlog(const std::string& stream, const Backlog& backlog) {
    const std::lock_guard lock(mutex_);
    backlogs_[stream] = backlog;
    StreamStatus& status = statuses_[stream];
    if (!status.is_up) status = {true, std::chrono::system_clock::now(), {}};
    status.last = backlog;
}

void Metrics::forget_backlog(const std::string& stream) {
    const std::lock_guard lock(mutex_);
    backlogs_.erase(stream);
    StreamStatus& status = statuses_[stream];
    if (status.is_up || status.since == std::chrono::system_clock::time_point{}) {
        status.since = std::chrono::system_clock::now();
    }
    status.is_up = false;
}

std::map<std::string, Metrics::StreamStatus> Metrics::stream_statuses() const {
    const std::lock_guard lock(mutex_);
    return statuses_;
}

std::map<std::string, Metrics::Backlog> Metrics::backlogs() const {
    const std::lock_guard lock(mutex_);
    return backlogs_;
}

void Metrics::count_events(const std::string& stream, std::uint64_t message_count,
                           std::uint64_t event_count) {
    const std::lock_guard lock(mutex_);
    Written& written = written_[stream];
    written.messages += static_cast<double>(message_count);
    written.events += static_cast<double>(event_count);
}

double Metrics::events_per_message(const std::string& stream) const {
    const std::lock_guard lock(mutex_);
    const auto written = written_.find(stream);
    if (written == written_.end() || written->second.messages == 0) return 0;
    return written->second.events / written->second.messages;
}

void Metrics::begin_hold(const std::string& kind, const std::string& name, const std::string& why) {
    const std::lock_guard lock(mutex_);
    const auto [hold, is_new] =
        holds_.try_emplace({kind, name}, Hold{kind, name, why, std::chrono::system_clock::now()});
    if (!is_new) hold->second.why = why;
}

void Metrics::end_hold(const std::string& kind, const std::string& name) {
    const std::lock_guard lock(mutex_);
    holds_.erase({kind, name});
}

std::vector<Metrics::Hold> Metrics::holds() const {
    const std::lock_guard lock(mutex_);
    std::vector<Hold> holds;
    for (const auto& [key, hold] : holds_) holds.push_back(hold);
    return holds;
}

std::string Metrics::print() const {
    std::string out;
    print_events(out, *this);
    print_dead_letters(out, *this);
    print_ledger(out, *this);
    print_leader(out, *this);
    print_batches(out, *this);
    const std::lock_guard lock(mutex_);
    print_head(out, "homeward_freshness_seconds", "histogram",
               "From emit() until the row was visible on the leader, clock skew included.");
    for (const auto& [key, histogram] : freshness_) {
        histogram.print(out, "homeward_freshness_seconds",
                        "region=\"" + key.first + "\",class=\"" + key.second + "\"",
                        &kFreshnessShown);
    }
    print_head(out, "homeward_held", "gauge",
               "1 while this is held back and everything else flows; see the status page for why.");
    for (const auto& [key, hold] : holds_) {
        out += "homeward_held{kind=\"" + key.first + "\",name=\"" + key.second + "\"} 1\n";
    }
    print_streams(out, backlogs_, statuses_);
    return out;
}

}  // namespace homeward::consumer
