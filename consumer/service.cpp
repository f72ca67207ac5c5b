#include "consumer/service.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <map>

#include "consumer/admin.hpp"
#include "consumer/housekeeper.hpp"
#include "consumer/schema.hpp"
#include "consumer/writer.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr auto kNatsPatience = 30s;
constexpr auto kStartRetry = 1s;

sigset_t stop_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

/// False when a stop signal came instead.
bool wait(const sigset_t& signals, std::chrono::milliseconds time) {
    const timespec span{time.count() / 1000, time.count() % 1000 * 1'000'000};
    return sigtimedwait(&signals, nullptr, &span) < 0;
}

/// The leader may be down when we start; what is wrong with it for good is an exception.
bool prepare_schema(const Config& config, const std::vector<EventType>& types,
                    const sigset_t& signals) {
    for (bool has_worked = false;;) {
        try {
            Leader leader(config.postgres.owner_url, config.postgres);
            has_worked = true;
            if (config.schema.automatic) Schema(leader, config).apply(types);
            return true;
        } catch (const LeaderError& error) {
            if (classify(error.sqlstate(), has_worked) != ErrorClass::retry) throw;
            spdlog::warn("leader: {} [{}]; waiting for it", error.what(), error.sqlstate());
        }
        if (!wait(signals, kStartRetry)) return false;
    }
}

std::map<std::string, std::int64_t> stream_ages(NatsConnection& nats,
                                                const std::vector<Stream>& streams,
                                                const sigset_t& signals) {
    std::map<std::string, std::int64_t> created;
    for (const Stream& stream : streams) {
        for (;;) {
            try {
                const auto state = read_state(nats, stream);
                if (!state) {
                    throw std::runtime_error("stream " + stream.name + " or its durable " +
                                             stream.durable +
                                             " is missing; run homeward-consumer streams apply");
                }
                created[stream.name] = state->created_us;
                break;
            } catch (const NatsError& error) {
                spdlog::warn("{}; waiting for it", error.what());
            }
            if (!wait(signals, kStartRetry)) return {};
        }
    }
    return created;
}

}  // namespace

int run_service(const Config& config) {
    // Before any thread is made, so that all inherit it and the signals wait for us below.
    const sigset_t signals = stop_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const std::vector<EventType> types = known_event_types(config);
    if (!prepare_schema(config, types, signals)) return 0;
    NatsConnection nats(config.nats, kNatsPatience,
                        [](std::string_view line) { spdlog::warn("{}", line); });
    const std::vector<Stream> streams = streams_of(config);
    const auto created = stream_ages(nats, streams, signals);
    if (created.size() != streams.size()) return 0;

    Metrics metrics;
    const auto catalog = std::make_shared<const Catalog>(types);
    Puller puller(nats, streams, config.pull);
    LetterRoom letter_room(config.dead_letters.letters_max, config.dead_letters.bytes_max);
    WriterContext context{
        config, puller, nats, catalog, metrics, letter_room, [&created](const Stream& s) {
            return created.at(s.name);
        }};
    Housekeeper housekeeper(config, catalog, metrics, letter_room);
    std::vector<std::unique_ptr<Writer>> writers;
    for (std::size_t i = 0; i < config.batch.writers; ++i) {
        writers.push_back(std::make_unique<Writer>(context));
    }
    std::optional<Admin> admin;
    if (!config.admin.listen.empty()) {
        admin.emplace(config.admin.listen, metrics, [&]() -> std::string {
            if (!nats.is_connected()) return "no connection to NATS";
            return metrics.paused ? "writing pauses because of an error; see the log" : "";
        });
    }
    spdlog::info("consuming {} streams of {} regions with {} writers", streams.size(),
                 config.sources.size(), writers.size());
    while (wait(signals, 1h)) continue;
    spdlog::info("stopping: what has arrived is committed first");
    puller.stop();
    context.stopping = true;
    writers.clear();
    return 0;
}

}  // namespace homeward::consumer
