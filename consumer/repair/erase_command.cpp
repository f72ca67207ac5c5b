#include "consumer/repair/erase_command.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "consumer/base/command_output.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/repair/erasure.hpp"
#include "consumer/repair/progress_bar.hpp"
#include "schemas/cli/options.hpp"

namespace homeward::consumer {
namespace {

struct Order {
    std::string type;
    std::vector<FieldValue> conditions;
    bool is_dry = false;
    bool as_json = false;
};

FieldValue condition_of(const std::string& text) {
    const std::size_t sign = text.find('=');
    if (sign == std::string::npos || sign == 0) {
        throw UsageError("--where: expected field=value, not \"" + text + "\"");
    }
    return {text.substr(0, sign), text.substr(sign + 1)};
}

void note(const ErasureResult& result) {
    if (!result.doubtful_letters.empty()) {
        std::string numbers;
        for (const std::int64_t id : result.doubtful_letters) numbers += " " + std::to_string(id);
        std::fprintf(stderr,
                     "homeward-consumer: %zu dead letters are no JSON and contain the values; look "
                     "at them, and discard them: dead-letters show%s\n",
                     result.doubtful_letters.size(), numbers.c_str());
    }
    if (result.open_conflicts > 0) {
        std::fprintf(stderr,
                     "homeward-consumer: %lld quarantined frames were not looked into; accept or "
                     "discard them (conflicts list), and erase again\n",
                     static_cast<long long>(result.open_conflicts));
    }
}

int erase(const Config& config, const Order& order) {
    const std::vector<EventType> types = known_event_types(config);
    const auto type = std::find_if(types.begin(), types.end(),
                                   [&](const EventType& one) { return one.name == order.type; });
    if (type == types.end()) throw UsageError("no event type is \"" + order.type + "\"");
    Config::Postgres patient = config.postgres;
    patient.statement_timeout_ms = 0;
    PgConnection leader(config.postgres.owner_url, patient);
    Erasure erasure(leader, config.postgres.event_schema, *type, order.conditions);
    if (!order.is_dry && erasure.is_resumed()) {
        std::fprintf(stderr, "homeward-consumer: goes on with an erasure that was broken off\n");
    }
    const ErasureResult result =
        order.is_dry ? erasure.count() : erasure.run([](std::size_t done, std::size_t all) {
            draw_progress(done, all, "MB");
        });
    print_result(order.as_json, {{order.is_dry ? "would_erase" : "erased", result.rows},
                                 {"dead_letters", result.dead_letters}});
    note(result);
    return result.doubtful_letters.empty() && result.open_conflicts == 0 ? 0 : 1;
}

}  // namespace

void add_erase_command(const Commands& commands) {
    const auto order = std::make_shared<Order>();
    CLI::App& command = add_command(
        commands, "erase",
        "delete the events of a type that have given values\n\n"
        "Dead letters are included. It connects as the owner and deletes some MB per transaction; "
        "if interrupted, the same command continues. The proof counts the events as erased. Exit "
        "status 1 if something is left for you to look at.",
        [order](const Config& config) { return erase(config, *order); });
    cli::add_text(command, "-t,--type", "TYPE", order->type, "the event type")->required();
    command
        .add_option_function<std::vector<std::string>>(
            "--where",
            [order](const std::vector<std::string>& conditions) {
                for (const std::string& text : conditions) {
                    order->conditions.push_back(condition_of(text));
                }
            },
            "erase events in which FIELD has this value; FIELD is one of the type's, or extra.KEY. "
            "May be given again: all must match")
        ->type_name("FIELD=VALUE")
        ->allow_extra_args(false)
        ->take_all()
        ->required();
    command.add_flag("--dry-run", order->is_dry, "only count the events");
    command.add_flag("-j,--json", order->as_json, "print JSON");
}

}  // namespace homeward::consumer
