#include "consumer/service/backfill.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "consumer/postgres/schema.hpp"
#include "consumer/service/housekeeper.hpp"
#include "consumer/service/pipeline.hpp"
#include "schemas/text/rfc3339.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr auto kNatsPatience = 10s;
constexpr auto kLookInterval = 500ms;
constexpr auto kTellInterval = 10s;

/// Of every stream that has a history: the stream with a durable for this backfill alone.
std::vector<Stream> open_histories(NatsConnection& nats, const Config& config,
                                   std::int64_t since_us) {
    std::vector<Stream> histories;
    for (const Stream& stream : streams_of(config)) {
        const auto state = read_state(nats, stream);
        if (!state || !state->keeps_history) {
            std::printf("%s keeps no history; left out\n", stream.name.c_str());
            continue;
        }
        if (state->first_us > since_us) {
            std::printf("%s begins %lld s after that; what was sent before is not in it\n",
                        stream.name.c_str(),
                        static_cast<long long>((state->first_us - since_us) / 1'000'000));
        }
        histories.push_back(open_history(nats, stream, since_us, config));
    }
    if (histories.empty()) {
        throw std::runtime_error(
            "no stream keeps a history: that is what streams.history_hours is for, before the "
            "streams are made");
    }
    return histories;
}

StreamStates states_of(NatsConnection& nats, const std::vector<Stream>& streams) {
    StreamStates states;
    for (const Stream& stream : streams) {
        const auto state = read_state(nats, stream);
        if (!state) throw NatsError(stream.name + " or its durable for the backfill is gone");
        states[stream.name] = *state;
    }
    return states;
}

std::uint64_t left(const StreamStates& states) {
    std::uint64_t sum = 0;
    for (const auto& [name, state] : states) sum += state.unprocessed + state.ack_pending;
    return sum;
}

void wait_until_read(NatsConnection& nats, const std::vector<Stream>& streams) {
    auto told = std::chrono::steady_clock::now();
    for (;;) {
        std::uint64_t messages = 1;
        try {
            messages = left(states_of(nats, streams));
        } catch (const NatsError& error) {
            spdlog::warn("{}; waiting for it", error.what());
        }
        if (messages == 0) return;
        if (std::chrono::steady_clock::now() - told > kTellInterval) {
            told = std::chrono::steady_clock::now();
            spdlog::info("{} messages of history are left", messages);
        }
        std::this_thread::sleep_for(kLookInterval);
    }
}

int backfill(const Config& config, std::int64_t since_us) {
    const std::vector<EventType> types = known_event_types(config);
    if (config.schema.automatic) {
        PgConnection owner(config.postgres.owner_url, config.postgres);
        Schema(owner, config).apply(types);
    }
    NatsConnection nats(config.nats, kNatsPatience,
                        [](std::string_view line) { spdlog::warn("{}", line); });
    const std::vector<Stream> histories = open_histories(nats, config, since_us);
    const StreamStates states = states_of(nats, histories);
    const auto catalog = std::make_shared<const Catalog>(types);
    Metrics metrics;
    DeadLetterQuota dead_letter_quota(config.dead_letters.letters_max,
                                      config.dead_letters.bytes_max);
    BatchLimits limits(config.batch);
    RecentCommits memory;
    PlainAcks plain_acks;  // of durables that vanish, nobody tells
    Housekeeper housekeeper({config, catalog, metrics, dead_letter_quota, memory, plain_acks});
    Pipeline pipeline({config, nats, states, catalog, metrics, dead_letter_quota, memory, limits},
                      histories, true);
    wait_until_read(nats, histories);
    pipeline.stop();
    const auto count = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf(
        "%llu messages read again: %llu events were missing and are rows now, %llu are dead "
        "letters, %llu are parked; %llu were there already; %llu frames were quarantined\n",
        count(metrics.messages), count(metrics.rows), count(metrics.dead_letters),
        count(metrics.parked), count(metrics.skipped_events), count(metrics.conflicts));
    return metrics.conflicts == 0 ? 0 : 1;
}

CLI::App& add_as(const Commands& commands, const std::string& name) {
    const auto since_us = std::make_shared<std::int64_t>(0);
    CLI::App& command = add_command(
        commands, name,
        "read the streams' history again after a restore of the leader\n\n"
        "It needs streams that were made with streams.history_hours. The restored leader's ledger "
        "decides which events are missing. Exit status 1 if frames that conflict with the ledger "
        "were quarantined.",
        [since_us](const Config& config) { return backfill(config, *since_us); });
    command
        .add_option_function<std::string>(
            "-s,--since",
            [since_us](const std::string& text) {
                const auto time = parse_rfc3339(text);
                if (!time) {
                    throw UsageError(
                        "--since: expected a time such as 2026-11-24T10:00:00Z, not \"" + text +
                        "\"");
                }
                *since_us = *time;
            },
            "begin with messages of this time (RFC 3339)")
        ->type_name("TIME")
        ->required();
    return command;
}

}  // namespace

void add_backfill_command(const Commands& commands) {
    add_as(commands, "backfill");
    cli::deprecate(add_as(commands, "replay"), "backfill");
}

}  // namespace homeward::consumer
