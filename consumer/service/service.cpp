#include "consumer/service/service.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "consumer/base/printed_commands.hpp"
#include "consumer/base/thread_body.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/pull/stream_watch.hpp"
#include "consumer/service/admin.hpp"
#include "consumer/service/housekeeper.hpp"
#include "consumer/service/pending_streams.hpp"
#include "consumer/service/pipeline.hpp"
#include "consumer/service/stream_repair.hpp"
#include "consumer/service/systemd.hpp"
#include "consumer/status/health_log.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr auto kNatsPatience = 30s;
constexpr auto kStartRetry = 1s;
/// From SIGTERM to the end; a service manager's patience begins at about 5 s.
constexpr auto kStopMax = 4500ms;
constexpr auto kLastLineMax = 200ms;

/// Ends the process with a last line in the log. Nobody may read the log: a thread holds the logger
/// then, for ever, and the line is lost.
[[noreturn]] void end_process(const char* last_line) {
    start_thread("last line", [last_line] {
        spdlog::warn("{}", last_line);
        spdlog::default_logger()->flush();
        std::_Exit(0);
    }).detach();
    std::this_thread::sleep_for(kLastLineMax);
    std::_Exit(0);
}

/// The signals of the process, which all its threads block: taken by a thread of its own, since any
/// other may be waiting for somebody who does not answer, or for a reader of the log.
///
/// A stop ends the process at once until has_started(), as nothing is in hand yet. Later it is
/// told by wait(), and ends the process when the orderly end takes too long; what is not committed
/// then comes again, as after a crash.
class Signals {
  public:
    Signals() {
        for (const int one : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&awaited_, one);
        pthread_sigmask(SIG_BLOCK, &awaited_, nullptr);
        thread_ = start_thread("signals", [this] { run(); });
    }
    ~Signals() {
        {
            const std::lock_guard lock(mutex_);
            is_over_ = true;
        }
        changed_.notify_all();
        pthread_kill(thread_.native_handle(), SIGHUP);
        thread_.join();
    }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    void has_started() {
        const std::lock_guard lock(mutex_);
        has_started_ = true;
    }
    /// SIGTERM, also for SIGINT; SIGHUP; or 0 when the time is over.
    int wait(std::chrono::milliseconds time) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, time, [this] { return wants_stop_ || wants_reload_; });
        if (wants_stop_) return SIGTERM;
        return std::exchange(wants_reload_, false) ? SIGHUP : 0;
    }

  private:
    void run() {
        std::unique_lock lock(mutex_);
        while (!is_over_) {
            lock.unlock();
            const int signal = sigwaitinfo(&awaited_, nullptr);
            lock.lock();
            if (signal == SIGHUP) {
                wants_reload_ = has_started_;  // before, there is nothing to change
                changed_.notify_all();
            }
            if (signal != SIGTERM && signal != SIGINT) continue;
            if (!has_started_) end_process("stopped before the start was complete");
            wants_stop_ = true;
            changed_.notify_all();
            if (changed_.wait_for(lock, kStopMax, [this] { return is_over_; })) return;
            end_process(
                "stopped before everything was committed; the streams will deliver it again");
        }
    }

    sigset_t awaited_{};
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    bool has_started_ = false;
    bool wants_stop_ = false;
    bool wants_reload_ = false;
    bool is_over_ = false;
    std::thread thread_;
};

/// The leader may be down when we start; what is wrong with it for good is an exception.
void prepare_schema(const Config& config, const std::vector<EventType>& types) {
    for (bool has_worked = false;;) {
        try {
            PgConnection leader(config.postgres.owner_url, config.postgres);
            has_worked = true;
            // One table that somebody has altered must not keep all others from being written.
            std::set<std::string> drift;
            if (config.schema.automatic) Schema(leader, config).apply(types, &drift);
            for (const std::string& one : drift) spdlog::error("{}; its events are held", one);
            return;
        } catch (const LeaderError& error) {
            if (classify(error.sqlstate(), has_worked) != ErrorClass::retry) throw;
            spdlog::warn("leader: {} [{}]; waiting for it", error.what(), error.sqlstate());
        }
        std::this_thread::sleep_for(kStartRetry);
    }
}

/// Of streams that were made with another, as by a release before: what a dead consumer has in hand
/// stands still for so long. Says what it did; refused, it stays as it is.
void settle_ack_wait(NatsConnection& nats, const Stream& stream, StreamState& state,
                     const Config& config) {
    const auto wanted_ms = static_cast<std::int64_t>(config.pull.ack_wait_ms);
    if (state.ack_wait_ms == wanted_ms) return;
    try {
        write_ack_wait(nats, stream, std::chrono::milliseconds(wanted_ms));
        spdlog::info("durable {}: ack_wait {} ms -> {} ms (pull.ack_wait_ms)", stream.durable,
                     state.ack_wait_ms, wanted_ms);
        state.ack_wait_ms = wanted_ms;
    } catch (const NatsError& error) {
        spdlog::warn("{}; its ack_wait stays {} ms instead of {} ms (pull.ack_wait_ms)",
                     error.what(), state.ack_wait_ms, wanted_ms);
    }
}

/// Of the streams that answer; one that does but is missing is an exception.
StreamStates stream_states(NatsConnection& nats, const std::vector<Stream>& streams,
                           const Config& config) {
    StreamStates states;
    std::set<std::string> silent_domains;
    for (const Stream& stream : streams) {
        // The others of a region that does not answer would only take their time.
        if (silent_domains.count(stream.domain) == 1) continue;
        try {
            const auto state = read_state(nats, stream);
            if (!state) {
                throw std::runtime_error("stream " + stream.name + " or its durable " +
                                         stream.durable + " is missing; run " +
                                         command::kStreamsApply);
            }
            settle_ack_wait(nats, stream, states[stream.name] = *state, config);
        } catch (const NatsError& error) {
            spdlog::warn("{}; region {} is consumed when it answers", error.what(), stream.region);
            silent_domains.insert(stream.domain);
        }
    }
    return states;
}

/// 503 only when nothing can be consumed or written: a load balancer or an operator's watchdog
/// that ends this process would mend nothing of all else.
Readiness readiness_of(const Metrics& metrics, const std::vector<Stream>& streams,
                       const PendingStreams& pending_streams, const std::vector<Reason>& reasons,
                       bool is_nats_connected) {
    const auto waiting = pending_streams.waiting();
    const auto statuses = metrics.stream_statuses();
    std::string names;
    std::size_t away = 0;
    for (const Stream& stream : streams) {
        const auto status = statuses.find(stream.name);
        const bool is_away = status != statuses.end() && !status->second.is_up;
        if (!is_away && waiting.count(stream.name) == 0) continue;
        names += " " + stream.name;
        ++away;
    }
    const bool is_ready = is_nats_connected && metrics.leader_up && !metrics.paused &&
                          (away < streams.size() || streams.empty());
    std::string text = "ok";
    if (!is_nats_connected) {
        text = "no connection to NATS";
    } else if (!metrics.leader_up) {
        text = "the leader takes no writes; see the log";
    } else if (metrics.paused) {
        text = "writing pauses because of an error; see the log";
    } else if (!is_ready) {
        text = "no stream answers:" + names;
    } else if (away > 0) {
        text = "ok, but these streams do not answer:" + names;
    }
    // What an operator should know, and mostly no reason to take this consumer out.
    for (const Reason& reason : reasons) text += "\n" + reason.text;
    return {is_ready, text};
}

void reload(const std::filesystem::path& file, const Config& config, BatchLimits& limits) {
    try {
        const Config fresh = load_config(file);
        limits.replace(fresh.batch);
        spdlog::info(
            "batch settings read anew: rows_max {}, bytes_max {}, delay_ms {}, "
            "bad_events_max {}; all others take a restart",
            fresh.batch.rows_max, fresh.batch.bytes_max, fresh.batch.delay_ms,
            fresh.batch.bad_events_max);
        if (fresh.batch.writers != config.batch.writers) {
            spdlog::warn("batch.writers is {} until the next start", config.batch.writers);
        }
    } catch (const std::exception& error) {
        spdlog::error("{}; the settings stay as they were", error.what());
    }
}

/// Until a stop signal.
void serve(Signals& signals, const Systemd& systemd, const Puller& puller,
           const std::function<void()>& on_hangup) {
    systemd.ready();
    for (;;) {
        const int signal = signals.wait(systemd.alive_interval().value_or(1h));
        if (signal == SIGTERM) break;
        if (signal == SIGHUP) {
            systemd.reloading();
            on_hangup();
            systemd.ready();
        }
        puller.waiting();  // alive also means that nobody sits on this lock
        systemd.alive();
    }
    systemd.stopping();
}

}  // namespace

int run_service(const Config& config, const std::filesystem::path& file) {
    // Made before any other thread, so that all block them; ended last, so that a stop is bounded.
    Signals signals;
    const Systemd systemd;
    const std::vector<EventType> types = known_event_types(config);
    prepare_schema(config, types);
    NatsConnection nats(config.nats, kNatsPatience,
                        [](std::string_view line) { spdlog::warn("{}", line); });
    const std::vector<Stream> streams = streams_of(config);
    const StreamStates states = stream_states(nats, streams, config);
    for (const std::string& duplicate : find_duplicate_streams(nats, streams))
        throw std::runtime_error(duplicate);

    Metrics metrics;
    metrics.leader_up = true;  // it has just answered
    const auto catalog = std::make_shared<const Catalog>(types);
    BatchLimits limits(config.batch);
    DeadLetterQuota dead_letter_quota(config.dead_letters.letters_max,
                                      config.dead_letters.bytes_max);
    RecentCommits memory;
    PlainAcks plain_acks;
    signals.has_started();
    Housekeeper housekeeper({config, catalog, metrics, dead_letter_quota, memory, plain_acks});
    Pipeline pipeline({config, nats, states, catalog, metrics, dead_letter_quota, memory, limits},
                      streams, false);
    PendingStreams pending_streams(nats, streams, states, pipeline);
    StreamRepair repair(nats, config, metrics, [&](const Stream& stream, const StreamState& state) {
        pipeline.renew(stream, state);
    });
    const StreamWatch watch(nats, streams, metrics,
                            [&](const Stream& stream, const std::optional<StreamState>& state) {
                                repair.seen(stream, state);
                                if (!state) return;
                                plain_acks.seen(stream, *state);
                                StreamState found = *state;
                                if (pending_streams.waiting().count(stream.name) == 1) {
                                    settle_ack_wait(nats, stream, found, config);
                                }
                                pipeline.note_state(stream, found);
                                pending_streams.seen(stream, found);
                            });
    StatusPage status({config, metrics, streams, [&nats] { return nats.is_connected(); }});
    std::optional<Admin> admin;
    if (!config.admin.listen.empty()) {
        admin.emplace(config.admin, metrics, status, [&] {
            return readiness_of(metrics, streams, pending_streams, status.reasons(),
                                nats.is_connected());
        });
    }
    const HealthLog health_log([&] {
        pipeline.log().flush();
        return status.reasons();
    });
    spdlog::info("consuming {} streams of {} regions with {} writers", states.size(),
                 config.sources.size(), config.batch.writers);
    serve(signals, systemd, pipeline.puller(), [&] { reload(file, config, limits); });
    spdlog::info("stopping: what has arrived is committed first");
    pipeline.stop();
    return 0;
}

}  // namespace homeward::consumer
