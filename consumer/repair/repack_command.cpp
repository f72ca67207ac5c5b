#include "consumer/repair/repack_command.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "consumer/base/command_output.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/repair/progress_bar.hpp"
#include "consumer/repair/repack.hpp"
#include "schemas/cli/options.hpp"

namespace homeward::consumer {
namespace {

struct Order {
    std::string type;
    std::string day;
    bool to_rows = false;
    bool as_json = false;
};

bool is_day(const std::string& text) {
    constexpr std::string_view kForm = "dddd-dd-dd";
    return text.size() == kForm.size() &&
           std::equal(text.begin(), text.end(), kForm.begin(), [](char c, char form) {
               return form == 'd' ? c >= '0' && c <= '9' : c == form;
           });
}

int repack(const Config& config, const Order& order) {
    if (!order.day.empty() && !is_day(order.day)) {
        throw UsageError("--day: expected YYYY-MM-DD, not \"" + order.day + "\"");
    }
    const std::vector<EventType> types = known_event_types(config);
    const auto type = std::find_if(types.begin(), types.end(),
                                   [&](const EventType& one) { return one.name == order.type; });
    if (type == types.end()) throw UsageError("no event type is \"" + order.type + "\"");
    Config::Postgres patient = config.postgres;
    patient.statement_timeout_ms = 0;
    PgConnection leader(config.postgres.owner_url, patient);
    Repack work(leader, config.postgres.event_schema, *type,
                order.to_rows ? Repack::Target::rows : Repack::Target::packs);
    const std::optional<std::string> day =
        order.day.empty() ? std::nullopt : std::optional(order.day);
    const Repack::Result result =
        work.run(day, [](std::size_t done, std::size_t all) { draw_progress(done, all, "days"); });
    for (const std::string& failure : result.failures) {
        std::fprintf(stderr, "homeward-consumer: day %s\n", failure.c_str());
    }
    print_result(order.as_json, {{"moved", result.moved}});
    return result.failures.empty() ? 0 : 1;
}

}  // namespace

void add_repack_command(const Commands& commands) {
    const auto order = std::make_shared<Order>();
    CLI::App& command = add_command(
        commands, "repack",
        "move the rows of a packed type into packs, or back\n\n"
        "It moves days that are over, some MB per transaction, while the consumer goes on; the "
        "view shows each event once at any time. It connects as the owner. If interrupted, run it "
        "again. The proof counts the moved days again. Exit status 1: a day could not be moved; "
        "the others were.",
        [order](const Config& config) { return repack(config, *order); });
    cli::add_text(command, "-t,--type", "TYPE", order->type, "the event type")->required();
    cli::add_text(command, "--day", "DAY", order->day, "only this day (UTC), such as 2026-11-30");
    command.add_flag("--to-rows", order->to_rows, "from packs into rows");
    command.add_flag("-j,--json", order->as_json, "print JSON");
}

}  // namespace homeward::consumer
