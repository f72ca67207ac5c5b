#include "consumer/status_page.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr auto kLookInterval = 2s;
/// Origins with holes come first, so that what is cut off is whole.
constexpr const char* kOrigins =
    "SELECT class, region, app, publisher,"
    " CASE WHEN abandoned THEN 'abandoned' WHEN closed AND accepted <= homeward.seq_count(settled)"
    " THEN 'complete' WHEN class = 'plain' OR heard_at > now() - interval '3 minutes' THEN 'active'"
    " ELSE 'open' END, accepted, homeward.seq_count(settled),"
    " greatest(accepted - homeward.seq_count(settled), 0) AS holes,"
    " round(extract(epoch FROM now() - heard_at))::int8"
    " FROM homeward.account ORDER BY holes DESC, heard_at DESC LIMIT 100";
constexpr const char* kLetters =
    "SELECT coalesce(type, '?'), state, left(reason, 200), count(*) FROM homeward.dead_letter"
    " WHERE state IN ('open', 'parked') GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 20";

json origins_of(Leader& leader) {
    json list = json::array();
    const QueryResult rows = leader.query(kOrigins);
    for (int i = 0; i < rows.rows(); ++i) {
        list.push_back({{"class", rows.at(i, 0)},
                        {"region", rows.at(i, 1)},
                        {"app", rows.at(i, 2)},
                        {"publisher", rows.at(i, 3)},
                        {"state", rows.at(i, 4)},
                        {"accepted", rows.number(i, 5)},
                        {"settled", rows.number(i, 6)},
                        {"holes", rows.number(i, 7)},
                        {"heard_s", rows.number(i, 8)}});
    }
    return list;
}

json letters_of(Leader& leader) {
    json list = json::array();
    const QueryResult rows = leader.query(kLetters);
    for (int i = 0; i < rows.rows(); ++i) {
        list.push_back({{"type", rows.at(i, 0)},
                        {"state", rows.at(i, 1)},
                        {"reason", rows.at(i, 2)},
                        {"count", rows.number(i, 3)}});
    }
    return list;
}

std::string percent(double part, double whole) {
    return std::to_string(std::lround(100 * part / whole)) + " %";
}

}  // namespace

std::string limiting_factor(const WriterTimes& times) {
    const double busy = times.decode_s + times.copy_s + times.commit_s;
    if (times.elapsed_s <= 0) return "Nothing has been measured yet.";
    if (busy < times.elapsed_s / 2) {
        const std::string idle =
            "writers are busy " + percent(busy, times.elapsed_s) + " of the time";
        return times.waiting > 0
                   ? "The network or NATS: messages wait in the streams while " + idle + "."
                   : "The source: " + idle + ", and nothing waits.";
    }
    if (times.decode_s >= times.copy_s && times.decode_s >= times.commit_s) {
        return "Decoding on this machine: " + percent(times.decode_s, busy) +
               " of a batch's time; another consumer on another machine would help.";
    }
    if (times.copy_s >= times.commit_s) {
        return "The leader's CPU: " + percent(times.copy_s, busy) +
               " of a batch's time is COPY; fewer indexes on the event tables would help.";
    }
    return "The leader's disk or locks: " + percent(times.commit_s, busy) +
           " of a batch's time is ledger and COMMIT; larger batches would help.";
}

StatusPage::StatusPage(const Config& config, const Metrics& metrics)
    : config_(config), metrics_(metrics), before_(totals(std::chrono::steady_clock::now())) {}

WriterTimes StatusPage::totals(std::chrono::steady_clock::time_point now) const {
    const double clock_s = std::chrono::duration<double>(now.time_since_epoch()).count();
    return {clock_s * static_cast<double>(config_.batch.writers), metrics_.decode_seconds.sum(),
            metrics_.copy_seconds.sum(), metrics_.commit_seconds.sum(), metrics_.pending_sum()};
}

std::string StatusPage::json() {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (json_.empty() || now - looked_ >= kLookInterval) look(now);
    return json_;
}

void StatusPage::look(std::chrono::steady_clock::time_point now) {
    const WriterTimes after = totals(now);
    WriterTimes spent{after.elapsed_s - before_.elapsed_s, after.decode_s - before_.decode_s,
                      after.copy_s - before_.copy_s, after.commit_s - before_.commit_s,
                      after.waiting};
    // The number of those that wait comes with messages; without any it is of another time, as when
    // another consumer has taken the rest.
    const std::uint64_t messages = metrics_.messages;
    if (messages == messages_before_) spent.waiting = 0;
    messages_before_ = messages;
    before_ = after;
    nlohmann::json status{{"limit", limiting_factor(spent)},
                          {"rows", metrics_.rows.load()},
                          {"batches", metrics_.batches.load()},
                          {"waiting_messages", spent.waiting},
                          {"paused", metrics_.paused.load()},
                          {"writers", config_.batch.writers},
                          {"origins", nlohmann::json::array()},
                          {"dead_letters", nlohmann::json::array()},
                          {"leader_error", nullptr}};
    try {
        if (!leader_ || leader_->is_broken()) {
            leader_.reset();
            leader_.emplace(config_.postgres.url, config_.postgres);
        }
        status["origins"] = origins_of(*leader_);
        status["dead_letters"] = letters_of(*leader_);
    } catch (const LeaderError& error) {
        leader_.reset();
        status["leader_error"] = error.what();
        status["limit"] = "The leader: it cannot be asked just now.";
    }
    if (metrics_.paused) {
        status["limit"] = "An error that a person must mend: writing pauses, see the log.";
    }
    json_ = status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    looked_ = std::chrono::steady_clock::now();
}

}  // namespace homeward::consumer
