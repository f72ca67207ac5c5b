#include "consumer/service/service.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <set>

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

sigset_t awaited_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    return signals;
}

/// The signal that came, or 0 when the time is over.
int wait_signal(const sigset_t& signals, std::chrono::milliseconds time) {
    const timespec span{time.count() / 1000, time.count() % 1000 * 1'000'000};
    return std::max(sigtimedwait(&signals, nullptr, &span), 0);
}

/// False when a stop signal came instead. There is nothing yet that SIGHUP could change.
bool wait(const sigset_t& signals, std::chrono::milliseconds time) {
    const int signal = wait_signal(signals, time);
    return signal == 0 || signal == SIGHUP;
}

/// The leader may be down when we start; what is wrong with it for good is an exception.
bool prepare_schema(const Config& config, const std::vector<EventType>& types,
                    const sigset_t& signals) {
    for (bool has_worked = false;;) {
        try {
            PgConnection leader(config.postgres.owner_url, config.postgres);
            has_worked = true;
            // One table that somebody has altered must not keep all others from being written.
            std::set<std::string> drift;
            if (config.schema.automatic) Schema(leader, config).apply(types, &drift);
            for (const std::string& one : drift) spdlog::error("{}; its events are held", one);
            return true;
        } catch (const LeaderError& error) {
            if (classify(error.sqlstate(), has_worked) != ErrorClass::retry) throw;
            spdlog::warn("leader: {} [{}]; waiting for it", error.what(), error.sqlstate());
        }
        if (!wait(signals, kStartRetry)) return false;
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

/// Ends the process when an orderly end takes too long, as with a leader that does not answer: what
/// is not committed then comes again, as after a crash.
class StopDeadline {
  public:
    StopDeadline() : thread_(start_thread("stop deadline", [this] { wait(); })) {}
    ~StopDeadline() {
        {
            const std::lock_guard lock(mutex_);
            done_ = true;
        }
        stop_.notify_all();
        thread_.join();
    }

  private:
    void wait() {
        std::unique_lock lock(mutex_);
        if (stop_.wait_for(lock, kStopMax, [this] { return done_; })) return;
        spdlog::warn("stopped before everything was committed; the streams will deliver it again");
        spdlog::default_logger()->flush();
        std::_Exit(0);
    }

    std::mutex mutex_;
    std::condition_variable stop_;
    bool done_ = false;
    std::thread thread_;
};

/// Until a stop signal.
void serve(const sigset_t& signals, const Systemd& systemd, const Puller& puller,
           const std::function<void()>& on_hangup) {
    systemd.ready();
    for (;;) {
        const int signal = wait_signal(signals, systemd.alive_interval().value_or(1h));
        if (signal == SIGTERM || signal == SIGINT) break;
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
    // Before any thread is made, so that all inherit it and the signals wait for us below.
    const sigset_t signals = awaited_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const Systemd systemd;
    const std::vector<EventType> types = known_event_types(config);
    if (!prepare_schema(config, types, signals)) return 0;
    // Made first and ended last: it bounds the destructors of all that follows.
    std::optional<StopDeadline> deadline;
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
    deadline.emplace();
    pipeline.stop();
    return 0;
}

}  // namespace homeward::consumer
