#include "consumer/metrics/metric_families.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <tuple>
#include <utility>

namespace homeward::consumer {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Families = std::vector<MetricFamily>;
using Labels = std::vector<ClientMetric::Label>;

constexpr MetricType kCounter = MetricType::Counter;
constexpr MetricType kGauge = MetricType::Gauge;

MetricFamily& begin(Families& out, const std::string& name, MetricType type,
                    const std::string& help) {
    MetricFamily& family = out.emplace_back();
    family.name = name;
    family.type = type;
    family.help = help;
    return family;
}

template <typename Value>
void add(MetricFamily& family, const Value& value, Labels labels) {
    family.metric.push_back(
        metric_value(family.type, static_cast<double>(value), std::move(labels)));
}

/// A counter if its name says so, else a gauge.
void add_value(Families& out, std::string_view name, const std::string& help, std::uint64_t value) {
    const MetricType type = name.ends_with("_total") ? kCounter : kGauge;
    add(begin(out, std::string(name), type, help), value, {});
}

/// A metric under its old name, until 1.0.
void add_renamed(Families& out, std::string_view old_name, const std::string& name,
                 std::uint64_t value) {
    add_value(out, old_name, "Deprecated: use " + name + ".", value);
}

/// `counts`: one for each bound, and one for what lies beyond. Of the bounds only those in `shown`.
ClientMetric::Histogram histogram_value(const std::vector<double>& bounds,
                                        const std::vector<double>& shown,
                                        const std::vector<std::uint64_t>& counts, double sum) {
    ClientMetric::Histogram histogram;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        histogram.sample_count += counts[i];
        const bool is_last = i == bounds.size();
        if (!is_last && !std::binary_search(shown.begin(), shown.end(), bounds[i])) continue;
        ClientMetric::Bucket& bucket = histogram.bucket.emplace_back();
        bucket.cumulative_count = histogram.sample_count;
        bucket.upper_bound = is_last ? std::numeric_limits<double>::infinity() : bounds[i];
    }
    histogram.sample_sum = sum;
    return histogram;
}

void add_events(Families& out, const Metrics& of) {
    add_value(out, "homeward_rows_total", "Rows committed to the leader.", of.rows);
    add_value(out, "homeward_row_bytes_total", "COPY bytes of these rows.", of.row_bytes);
    add_value(out, "homeward_batches_total", "Transactions committed.", of.batches);
    add_value(out, "homeward_messages_total", "Messages acknowledged.", of.messages);
    add_value(out, "homeward_message_bytes_total", "Bytes of messages taken.", of.message_bytes);
    add_value(out, "homeward_redelivered_total", "Messages that had been delivered before.",
              of.redelivered);
    add_value(out, "homeward_skipped_events_total", "Events that the ledger had settled already.",
              of.skipped_events);
    add_value(out, "homeward_replaced_nuls_total", "NUL characters replaced by U+FFFD.",
              of.replaced_nuls);
}

void add_dead_letters(Families& out, const Metrics& of) {
    add_value(out, "homeward_dead_letters_total", "Events that could not become rows.",
              of.dead_letters);
    add_value(out, "homeward_parked_total", "Events of a type not known yet.", of.parked);
    add_value(out, "homeward_redriven_total", "Dead letters that this process has made rows of.",
              of.redriven);
    add_value(out, "homeward_delayed_naks_total",
              "Messages returned to their stream to come again later: held, or without room.",
              of.delayed_naks);
    add_renamed(out, "homeward_given_back_total", "homeward_delayed_naks_total", of.delayed_naks);
    add_value(out, "homeward_newer_frames_total",
              "Deliveries of frames that only a newer consumer can read; they stay in their "
              "stream.",
              of.newer_frames);
    MetricFamily& waiting =
        begin(out, "homeward_dead_letters_waiting", kGauge,
              "Dead letters on the leader that are neither redriven nor discarded.");
    add(waiting, of.letters_open, {{"state", "open"}});
    add(waiting, of.letters_parked, {{"state", "parked"}});
    add_value(out, "homeward_dead_letters_waiting_bytes", "Size of their payloads.",
              of.letter_bytes);
    add_value(out, "homeward_dead_letter_quota_full", "1 while there is no room for dead letters.",
              of.quota_full);
    add_renamed(out, "homeward_dead_letters_full", "homeward_dead_letter_quota_full",
                of.quota_full);
}

void add_ledger(Families& out, const Metrics& of) {
    add_value(out, "homeward_holes",
              "Events that origins have accepted and the leader has not settled.", of.holes);
    add_value(out, "homeward_holes_missing",
              "Holes of origins not heard of for longer than events may be under way.",
              of.holes_missing);
    add_value(out, "homeward_tombstones_total",
              "Seqs that will never be rows, as their publishers reported.", of.tombstones);
    add_value(out, "homeward_conflicts_total", "Frames at odds with the ledger, quarantined.",
              of.conflicts);
    add_value(out, "homeward_compacted_frames_total", "Frames compacted into the ledger's ranges.",
              of.compacted_frames);
    add_renamed(out, "homeward_folded_frames_total", "homeward_compacted_frames_total",
                of.compacted_frames);
}

void add_leader(Families& out, const Metrics& of) {
    add_value(out, "homeward_leader_up", "1 while the leader takes writes.", of.leader_up);
    add_value(out, "homeward_paused",
              "1 while writing pauses because of an error that an operator must fix.", of.paused);
    add_value(out, "homeward_retries_total",
              "Attempts after an error of the leader or the way to it.", of.retries);
    add_value(out, "homeward_redos_total", "Batches written again with the ledger asked first.",
              of.redos);
    add_value(out, "homeward_acks_waiting", "Committed batches whose acks wait for a standby.",
              of.acks_waiting);
    add_value(out, "homeward_failover_lacking_frames_total",
              "Frames that had been committed and that a new leader lacked.", of.lacking_frames);
}

void add_batches(Families& out, const Metrics& of) {
    MetricFamily& spent = begin(out, "homeward_writer_seconds_total", kCounter,
                                "How the writers spend their time, all together.");
    const StageSeconds seconds = of.stages.read();
    for (std::size_t i = 0; i < kStages; ++i) {
        add(spent, seconds.of[i], {{"stage", std::string(to_string(static_cast<Stage>(i)))}});
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
        begin(out, name, MetricType::Histogram, help).metric.emplace_back().histogram =
            histogram_value(histogram->bounds(), histogram->bounds(), histogram->counts(),
                            histogram->sum());
    }
}

void add_freshness(Families& out, const Metrics& of) {
    MetricFamily& family =
        begin(out, "homeward_freshness_seconds", MetricType::Histogram,
              "From emit() until the row was visible on the leader, clock skew included.");
    const auto sums = of.freshness_sums();
    for (const auto& [key, counts] : of.freshness_counts()) {
        const auto sum = sums.find(key);
        ClientMetric& metric = family.metric.emplace_back();
        metric.label = {{"region", key.first}, {"class", key.second}};
        metric.histogram = histogram_value(Metrics::freshness_bounds(), Metrics::freshness_shown(),
                                           counts, sum == sums.end() ? 0 : sum->second);
    }
}

void add_holds(Families& out, const Metrics& of) {
    MetricFamily& held =
        begin(out, "homeward_held", kGauge,
              "1 while this is held back and everything else flows; see the status page for why.");
    for (const Metrics::Hold& hold : of.holds()) {
        add(held, 1, {{"kind", hold.kind}, {"name", hold.name}});
    }
}

void add_streams(Families& out, const Metrics& of) {
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
    const auto backlogs = of.backlogs();
    for (const auto& [name, help, member] : gauges) {
        MetricFamily& family = begin(out, name, kGauge, help);
        for (const auto& [stream, backlog] : backlogs) {
            add(family, backlog.*member, {{"stream", stream}});
        }
    }
    MetricFamily& up =
        begin(out, "homeward_stream_up", kGauge, "1 while the stream answers, 0 while it is away.");
    for (const auto& [stream, status] : of.stream_statuses()) {
        add(up, status.is_up, {{"stream", stream}});
    }
}

}  // namespace

ClientMetric metric_value(MetricType type, double value, Labels labels) {
    ClientMetric metric;
    metric.label = std::move(labels);
    (type == kCounter ? metric.counter.value : metric.gauge.value) = value;
    return metric;
}

std::vector<MetricFamily> metric_families(const Metrics& metrics) {
    Families families;
    add_events(families, metrics);
    add_dead_letters(families, metrics);
    add_ledger(families, metrics);
    add_leader(families, metrics);
    add_batches(families, metrics);
    add_freshness(families, metrics);
    add_holds(families, metrics);
    add_streams(families, metrics);
    return families;
}

std::string metrics_text(const std::vector<MetricFamily>& families) {
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace homeward::consumer
