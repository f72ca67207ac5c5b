#include "consumer/status/status_page.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "consumer/base/log_format.hpp"
#include "consumer/metrics/metric_families.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

/// Between two looks at what the sessions on the leader do: a sentence rests on about fifty.
constexpr auto kSampleInterval = 100ms;
constexpr auto kSamplesKept = 5s;
constexpr auto kViewInterval = 2s;
/// Looking at very many origins takes time; it is to take at most a tenth of the leader's.
constexpr int kViewRestFactor = 10;
constexpr auto kRetryInterval = 1s;
/// A leader that owes us an answer for so long is called away.
constexpr auto kLeaderPatience = 3s;

std::string base64_sha256(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int bytes = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &bytes, EVP_sha256(), nullptr);
    std::array<unsigned char, 4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1> encoded{};
    const int length = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(bytes));
    return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length)};
}

/// What stands between <tag> and </tag>.
std::string_view content_of(std::string_view page, const std::string& tag) {
    const std::size_t begin = page.find("<" + tag + ">") + tag.size() + 2;
    return page.substr(begin, page.find("</" + tag + ">") - begin);
}

json stages_json(const StageSeconds& stages) {
    json object = json::object();
    for (std::size_t i = 0; i < kStages; ++i) {
        object[std::string(to_string(static_cast<Stage>(i)))] = stages.of[i];
    }
    return object;
}

json moment_json(const Moment& moment) {
    json fresh = json::object();
    for (const auto& [key, quantiles] : moment.fresh) {
        fresh[key.first + " " + key.second] = {quantiles.p50_s, quantiles.p99_s};
    }
    return {{"seconds", moment.seconds},
            {"rows", moment.rows},
            {"batches", moment.batches},
            {"stages", stages_json(moment.stages)},
            {"fresh", fresh}};
}

json reasons_json(const std::vector<Reason>& reasons, const std::string& program) {
    json array = json::array();
    for (const Reason& reason : reasons) {
        array.push_back({{"health", to_string(reason.health)},
                         {"title", reason.title},
                         {"text", reason.text},
                         {"remedy", runnable(reason.remedy, program)},
                         {"command", runnable(reason.command, program)}});
    }
    return array;
}

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

json view_json(const LeaderView& view) {
    json origins = json::array();
    for (const OriginView& origin : view.origins) {
        origins.push_back({{"class", origin.event_class},
                           {"region", origin.region},
                           {"app", origin.app},
                           {"publisher", origin.publisher},
                           {"state", origin.state},
                           {"accepted", origin.accepted},
                           {"settled", origin.settled},
                           {"holes", origin.holes},
                           {"hole_ranges", origin.hole_ranges},
                           {"heard_s", origin.heard_s}});
    }
    json letters = json::array();
    for (const LetterView& letter : view.letters) {
        letters.push_back({{"type", letter.type},
                           {"state", letter.state},
                           {"reason", letter.reason},
                           {"count", letter.count}});
    }
    return {{"origin_states", view.states}, {"origins", origins}, {"dead_letters", letters}};
}

}  // namespace

std::string status_policy() {
    const std::string_view page = status_html();
    return "default-src 'none'; connect-src 'self'; img-src data:; script-src 'sha256-" +
           base64_sha256(content_of(page, "script")) + "'; style-src 'sha256-" +
           base64_sha256(content_of(page, "style")) +
           "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
           " require-trusted-types-for 'script'; trusted-types 'none'";
}

StatusPage::StatusPage(Sources sources)
    : sources_(std::move(sources)),
      history_(sources_.metrics),
      host_(host_name()),
      leader_watch_([this] { return look_at_leader(); }) {}

std::chrono::milliseconds StatusPage::look_at_leader() {
    try {
        {
            const std::lock_guard lock(mutex_);
            leader_asked_ = SteadyClock::now();
        }
        ask_leader();
        const std::lock_guard lock(mutex_);
        leader_asked_ = {};
        leader_error_.clear();
        return kSampleInterval;
    } catch (const LeaderError& error) {
        leader_.reset();
        const std::lock_guard lock(mutex_);
        leader_asked_ = {};
        leader_error_ = error.what();
        samples_.clear();
        return kRetryInterval;
    }
}

void StatusPage::ask_leader() {
    if (!leader_ || leader_->is_broken()) {
        leader_.reset();
        leader_.emplace(sources_.config.postgres.url, sources_.config.postgres);
    }
    const auto now = SteadyClock::now();
    WaitSample sample = sample_waits(*leader_);
    {
        const std::lock_guard lock(mutex_);
        samples_.push_back({now, std::move(sample)});
        while (samples_.front().at + kSamplesKept < now) samples_.pop_front();
    }
    if (now < view_due_) return;
    const auto began = SteadyClock::now();
    LeaderView view = read_leader_view(*leader_);
    const auto took = SteadyClock::now() - began;
    view_due_ =
        SteadyClock::now() + std::max<SteadyClock::duration>(kViewInterval, kViewRestFactor * took);
    const std::lock_guard lock(mutex_);
    view_ = std::move(view);
}

/// The caller has the lock.
LimitFacts StatusPage::facts() const {
    LimitFacts facts;
    const Moment last = history_.last();
    facts.stages = last.stages;
    facts.waiting_messages = last.waiting;
    for (const TimedSample& one : samples_) {
        for (std::size_t i = 0; i < kWaits; ++i) facts.waits.seen[i] += one.sample.waits.seen[i];
        if (!one.sample.lock_holder.empty()) facts.lock_holder = one.sample.lock_holder;
    }
    facts.leader_error = leader_error_;
    const bool is_silent = leader_asked_ != SteadyClock::time_point{} &&
                           SteadyClock::now() - leader_asked_ > kLeaderPatience;
    if (is_silent && leader_error_.empty()) facts.leader_error = "it does not answer";
    facts.is_paused = sources_.metrics.paused;
    return facts;
}

prometheus::MetricFamily StatusPage::freshness_metrics() const {
    prometheus::MetricFamily family;
    family.name = "homeward_freshness_quantile_seconds";
    family.help =
        "From emit() until the row was visible, of what came in the last minute; within 5%.";
    family.type = prometheus::MetricType::Gauge;
    for (const auto& [key, quantiles] : history_.minute()) {
        for (const auto& [percentile, value] :
             {std::pair("50", quantiles.p50_s), std::pair("99", quantiles.p99_s)}) {
            family.metric.push_back(metric_value(
                family.type, value,
                {{"region", key.first}, {"class", key.second}, {"percentile", percentile}}));
        }
    }
    return family;
}

std::vector<Reason> StatusPage::reasons() const {
    return find_reasons(sources_.metrics, history_.minute(), Limit::unknown,
                        sources_.is_nats_connected(), sources_.streams);
}

nlohmann::json StatusPage::backlogs_json() const {
    const auto known = sources_.metrics.backlogs();
    const auto statuses = sources_.metrics.stream_statuses();
    nlohmann::json backlogs = nlohmann::json::array();
    for (const Stream& stream : sources_.streams) {
        const auto found = known.find(stream.name);
        nlohmann::json one{
            {"stream", stream.name}, {"region", stream.region}, {"known", found != known.end()}};
        if (found != known.end()) {
            one["waiting"] = found->second.pending;
            one["in_hand"] = found->second.unacknowledged;
            one["bytes"] = found->second.bytes;
            one["bytes_max"] = found->second.bytes_max;
        }
        const auto status = statuses.find(stream.name);
        if (status != statuses.end() && !status->second.is_up) {
            one["away_since"] = std::chrono::duration_cast<std::chrono::seconds>(
                                    status->second.since.time_since_epoch())
                                    .count();
            one["known"] = false;
            one["last_waiting"] = status->second.last.pending + status->second.last.unacknowledged;
        }
        backlogs.push_back(one);
    }
    return backlogs;
}

std::string StatusPage::json(std::uint64_t since) {
    leader_watch_.want();
    const Metrics& metrics = sources_.metrics;
    const History::Excerpt excerpt = history_.since(since);
    nlohmann::json moments = nlohmann::json::array();
    for (const Moment& moment : excerpt.moments) moments.push_back(moment_json(moment));
    const bool is_connected = sources_.is_nats_connected();

    const std::lock_guard lock(mutex_);
    const LimitFacts now = facts();
    const LimitVerdict limit = find_limit(now);
    const auto found =
        find_reasons(metrics, history_.minute(), limit.limit, is_connected, sources_.streams);
    const auto uptime = std::chrono::duration<double>(SteadyClock::now() - started_);
    nlohmann::json status{
        {"health", to_string(worst_of(found))},
        {"headline", headline_of(found)},
        {"reasons", reasons_json(found, sources_.config.command)},
        {"limit", {{"name", to_string(limit.limit)}, {"sentence", limit.sentence}}},
        {"version", HOMEWARD_VERSION},
        {"host", host_},
        {"uptime_s", uptime.count()},
        {"rows", metrics.rows.load()},
        {"batches", metrics.batches.load()},
        {"letters_open", metrics.letters_open.load()},
        {"letters_parked", metrics.letters_parked.load()},
        {"missing", metrics.holes_missing.load()},
        {"writers", sources_.config.batch.writers},
        {"interval_s", History::kInterval.count()},
        {"moments_max", History::kMomentsMax},
        {"first", excerpt.first},
        {"moments", moments},
        {"backlog", backlogs_json()},
        {"leader_error",
         now.leader_error.empty() ? nlohmann::json() : nlohmann::json(now.leader_error)},
    };
    status.update(view_ ? view_json(*view_) : nlohmann::json::object());
    return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace homeward::consumer
