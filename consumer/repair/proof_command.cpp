#include "consumer/repair/proof_command.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "consumer/base/command_words.hpp"
#include "consumer/ledger/closed_days.hpp"
#include "consumer/ledger/proof.hpp"
#include "consumer/nats/stream.hpp"
#include "consumer/repair/progress_bar.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

struct Order {
    bool as_json = false;
    bool is_final = false;
    bool recount = false;
    std::optional<std::string> origin;
    std::chrono::seconds patience{0};
};

std::chrono::seconds seconds_of(const std::string& text) {
    constexpr int kMax = 86'400;
    int seconds = 0;
    const auto end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, seconds);
    if (parsed.ec != std::errc{} || parsed.ptr != end || seconds < 0 || seconds > kMax) {
        throw UsageError("--wait is \"" + text + "\"; expected whole seconds, up to a day");
    }
    return std::chrono::seconds(seconds);
}

Order parse(const std::vector<std::string>& words) {
    Order order;
    for (WordReader reader(words, 0); reader.next();) {
        const std::string& word = reader.word();
        if (word == "--json") {
            order.as_json = true;
        } else if (word == "--final") {
            order.is_final = true;
        } else if (word == "--recount") {
            order.recount = true;
        } else if (word == "--origin") {
            order.origin = reader.value();
        } else if (word == "--wait") {
            order.patience = seconds_of(reader.value());
        } else {
            throw UsageError("proof does not know " + word);
        }
    }
    return order;
}

bool has_undelivered(NatsConnection& nats, const Config& config) {
    for (const Stream& stream : streams_of(config)) {
        const auto state = read_state(nats, stream);
        if (!state) continue;
        // Not its messages: of a workqueue some may stay that the durable never delivers again, as
        // after a SIGKILL of nats-server 2.9, and waiting for them would end by the limit only.
        if (state->unprocessed + state->ack_pending > 0) return true;
    }
    return false;
}

Proof read_patiently(const Config& config, PgConnection& leader, const Order& order) {
    std::optional<std::vector<std::int64_t>> origins;
    if (order.origin) {
        origins = find_origins(leader, *order.origin);
        if (origins->empty()) throw UsageError("no origin is \"" + *order.origin + "\"");
    }
    if (order.patience == 0s) return read_proof(leader, origins);
    const auto deadline = std::chrono::steady_clock::now() + order.patience;
    NatsConnection nats(config.nats, order.patience, [](std::string_view) {});
    for (;;) {
        const bool drained = !has_undelivered(nats, config);
        Proof proof = read_proof(leader, origins);
        if ((drained && proof.sum.in_flight == 0) || std::chrono::steady_clock::now() >= deadline) {
            return proof;
        }
        std::this_thread::sleep_for(200ms);
    }
}

int show(const Config& config, const Order& order) {
    Config::Postgres patient = config.postgres;
    // Days that were not counted are read, however long that takes.
    patient.statement_timeout_ms = 0;
    PgConnection leader(config.postgres.url, patient);
    std::vector<std::string> differing;
    if (order.recount) {
        differing = recount_days(
            leader, [](std::size_t done, std::size_t all) { draw_progress(done, all, "days"); });
    }
    Proof proof = read_patiently(config, leader, order);
    if (order.is_final) proof.finalize();
    name_missing(leader, proof);
    const CountSummary counts = read_count_summary(leader);
    if (order.as_json) {
        std::printf("%s\n", proof.to_json(counts, differing).c_str());
    } else {
        std::printf("%s%s%s\n", proof.to_table().c_str(), counts_text(counts, differing).c_str(),
                    proof.summary().c_str());
    }
    return proof.is_clean() && differing.empty() ? 0 : 1;
}

int abandon_all(const Config& config, const std::vector<std::string>& words) {
    if (words.size() < 2) throw UsageError("proof abandon needs an origin");
    PgConnection leader(config.postgres.owner_url, config.postgres);
    bool all = true;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const Abandonment done = abandon(leader, words[i]);
        for (const std::string& line : done.lines) std::printf("%s\n", line.c_str());
        all = all && done.abandoned > 0;
    }
    return all ? 0 : 1;
}

}  // namespace

int run_proof(const Config& config, const std::vector<std::string>& words) {
    if (!words.empty() && words[0] == "abandon") return abandon_all(config, words);
    return show(config, parse(words));
}

}  // namespace homeward::consumer
