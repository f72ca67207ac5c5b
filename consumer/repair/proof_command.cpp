#include "consumer/repair/proof_command.hpp"

#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "consumer/ledger/closed_days.hpp"
#include "consumer/ledger/proof.hpp"
#include "consumer/nats/stream.hpp"
#include "consumer/repair/progress_bar.hpp"
#include "schemas/cli/options.hpp"

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

int abandon_all(const Config& config, const std::vector<std::string>& origins) {
    PgConnection leader(config.postgres.owner_url, config.postgres);
    bool all = true;
    for (const std::string& origin : origins) {
        const Abandonment done = abandon(leader, origin);
        for (const std::string& line : done.lines) std::printf("%s\n", line.c_str());
        all = all && done.abandoned > 0;
    }
    return all ? 0 : 1;
}

void add_abandon_command(const Commands& commands) {
    const auto origins = std::make_shared<std::vector<std::string>>();
    CLI::App& command = add_command(
        commands, "abandon",
        "declare that origins will not deliver their missing events\n\n"
        "For a machine that is lost with its disk. An origin is a number, or at least 8 hex digits "
        "of its publisher's id. The name of a stream gives its missing messages up. It connects as "
        "the owner.",
        [origins](const Config& config) { return abandon_all(config, *origins); });
    command.add_option("ORIGIN", *origins, "origins, publishers or streams")
        ->type_name("ORIGIN")
        ->required();
    const CLI::App& proof = commands.app;
    command.parse_complete_callback([&proof] {
        for (const CLI::Option* option : proof.get_options()) {
            if (option->get_group() != "Options" || option->count() == 0) continue;
            throw UsageError(option->get_name() + " is not an option of proof abandon");
        }
    });
}

}  // namespace

void add_proof_commands(const Commands& commands) {
    const auto order = std::make_shared<Order>();
    CLI::App& command = add_command(commands, "proof",
                                    "account for every event, per origin and in total\n\n"
                                    "It names what is missing. Exit status 1 if an event is "
                                    "missing or doubled. Days in the past "
                                    "were counted once and are not read again.",
                                    [order](const Config& config) { return show(config, *order); });
    command.add_flag("-j,--json", order->as_json, "print JSON");
    cli::add_seconds(command, "-w,--wait", order->patience,
                     "wait this long until nothing is in flight and the streams are empty");
    command.add_flag("--final", order->is_final,
                     "nothing is being sent any more: count what is in flight as missing");
    cli::add_text(
        command, "-o,--origin", "ORIGIN", order->origin,
        "only this origin: its number, or at least 8 hex digits of the publisher's id for "
        "all of its origins");
    command.add_flag("--recount", order->recount,
                     "read past days again, and name those whose rows differ from their count");
    command.require_subcommand(0, 1);
    add_abandon_command({command, commands.chosen});
}

}  // namespace homeward::consumer
