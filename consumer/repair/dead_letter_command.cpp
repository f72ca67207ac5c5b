#include "consumer/repair/dead_letter_command.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "consumer/base/command_output.hpp"
#include "consumer/base/plain_text.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/repair/dead_letters.hpp"
#include "consumer/repair/progress_bar.hpp"
#include "schemas/cli/options.hpp"

namespace homeward::consumer {
namespace {

using nlohmann::json;

constexpr std::int64_t kListedDefault = 100;

struct Order {
    LetterFilter filter;
    bool as_json = false;
    bool all = false;
    std::int64_t letters_max = kListedDefault;
};

json to_json(const DeadLetter& letter, bool with_payload) {
    json object{{"id", letter.id},
                {"state", letter.state},
                {"class", letter.event_class},
                {"region", letter.region},
                {"app", letter.app},
                {"publisher", letter.publisher},
                {"seq", letter.seq},
                {"type", letter.type},
                {"reason", letter.reason},
                {"sqlstate", letter.sqlstate},
                {"times_seen", letter.times_seen},
                {"message_time", letter.message_time},
                {"first_seen", letter.first_seen},
                {"last_seen", letter.last_seen},
                {"payload_bytes", letter.payload_bytes}};
    if (!letter.headers.empty()) object["headers"] = json::parse(letter.headers);
    if (with_payload) object["payload"] = letter.payload;
    return object;
}

int list(PgConnection& leader, const Order& order) {
    const auto letters = read_letters(leader, order.filter, order.letters_max);
    if (order.as_json) {
        json array = json::array();
        for (const DeadLetter& letter : letters) array.push_back(to_json(letter, false));
        std::printf("%s\n", dumped(array).c_str());
        return 0;
    }
    std::printf("%10s  %-9s  %-24s  %-16s  %5s  %-5s  %s\n", "id", "state", "origin and seq",
                "type", "times", "error", "reason");
    for (const DeadLetter& letter : letters) {
        const std::string place =
            letter.region + "/" + letter.app + " " + std::to_string(letter.seq);
        std::printf("%10lld  %-9s  %-24s  %-16s  %5lld  %-5s  %s\n",
                    static_cast<long long>(letter.id), letter.state.c_str(), place.c_str(),
                    one_line(letter.type, 48).c_str(), static_cast<long long>(letter.times_seen),
                    letter.sqlstate.c_str(), one_line(letter.reason, 120).c_str());
    }
    const std::size_t all = find_letters(leader, order.filter).size();
    std::printf("%zu of %zu\n", letters.size(), all);
    return 0;
}

int list_sources(PgConnection& leader, const Config& config, const Order& order) {
    const auto sources = read_letter_sources(leader);
    if (order.as_json) {
        json array = json::array();
        for (const LetterSource& one : sources) {
            array.push_back({{"region", one.region},
                             {"app", one.app},
                             {"open", one.open},
                             {"parked", one.parked},
                             {"payload_bytes", one.payload_bytes},
                             {"first_seen", one.first_seen},
                             {"reason", one.reason},
                             {"sample", one.sample}});
        }
        std::printf("%s\n", dumped(array).c_str());
        return 0;
    }
    std::printf("%-24s  %8s  %8s  %s\n", "region/app", "open", "parked", "first reason; sample");
    for (const LetterSource& one : sources) {
        std::printf("%-24s  %8lld  %8lld  %s; %s\n", (one.region + "/" + one.app).c_str(),
                    static_cast<long long>(one.open), static_cast<long long>(one.parked),
                    one_line(one.reason, 120).c_str(), one_line(one.sample, 80).c_str());
    }
    std::printf("%zu sources; one that is held may have %zu (dead_letters.source_letters_max)\n",
                sources.size(), config.dead_letters.source_letters_max);
    return 0;
}

int show(PgConnection& leader, Order order) {
    order.filter.states.clear();
    const auto letters = read_letters(leader, order.filter, 0, true);
    for (const DeadLetter& letter : letters) {
        if (order.as_json) {
            std::printf("%s\n", dumped(to_json(letter, true)).c_str());
            continue;
        }
        json fields = to_json(letter, false);
        const json headers = fields.value("headers", json::object());
        fields.erase("headers");
        print_fields(fields);
        for (const auto& [name, value] : headers.items()) {
            const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
            std::printf("%-14s %s\n", "header", printable(name + ": " + text).c_str());
        }
        std::printf("%s\n\n", printable(letter.payload).c_str());
    }
    if (letters.size() == order.filter.ids.size()) return 0;
    std::fprintf(stderr, "homeward-consumer: %zu of the %zu numbers are no dead letter's\n",
                 order.filter.ids.size() - letters.size(), order.filter.ids.size());
    return 1;
}

int redrive(PgConnection& leader, const Config& config, const Order& order) {
    const auto letters = find_letters(leader, order.filter);
    Redriver redriver(config, std::make_shared<const Catalog>(known_event_types(config)));
    const auto draw = [&](std::size_t done) {
        if (!letters.empty()) draw_progress(done, letters.size(), "dead letters");
    };
    draw(0);
    const RedriveResult result = redriver.redrive(leader, letters, draw);
    print_result(order.as_json, {{"found", letters.size()},
                                 {"redriven", result.redriven},
                                 {"still_dead", result.still_dead}});
    return result.still_dead == 0 ? 0 : 1;
}

int discard(PgConnection& leader, const Order& order) {
    const auto letters = find_letters(leader, order.filter);
    print_result(order.as_json,
                 {{"found", letters.size()}, {"discarded", discard_letters(leader, letters)}});
    return 0;
}

using Run = int (*)(PgConnection& leader, const Config& config, const Order& order);

CLI::App& add(const Commands& commands, const std::shared_ptr<Order>& order, const char* name,
              const char* description, Run run) {
    CLI::App& command =
        add_command(commands, name, description, [order, run](const Config& config) {
            PgConnection leader(config.postgres.upkeep_url, config.postgres);
            return run(leader, config, *order);
        });
    command.add_flag("-j,--json", order->as_json, "print JSON");
    return command;
}

CLI::Option* add_numbers(CLI::App& command, LetterFilter& filter) {
    return cli::add_numbers(command, "NUMBER", filter.ids, "numbers of dead letters")
        ->type_name("NUMBER");
}

void add_filters(CLI::App& command, LetterFilter& filter) {
    add_numbers(command, filter);
    command.option_defaults()->group("Filters");
    cli::add_text(command, "-t,--type", "TYPE", filter.type, "of this event type");
    cli::add_text(command, "-r,--region", "REGION", filter.region, "from this region");
    cli::add_text(command, "-a,--app", "APP", filter.app, "from this app");
    cli::add_text(command, "--sqlstate", "SQLSTATE", filter.sqlstate,
                  "refused by PostgreSQL with this code");
    cli::add_text(command, "--reason", "TEXT", filter.reason,
                  "whose reason contains this text, in upper or lower case");
    cli::add_text(command, "-s,--since", "TIME", filter.since,
                  "first seen at this time or later, in any format that PostgreSQL reads");
    cli::add_choice(
        command, "--state", {"open", "parked", "redriven", "discarded", "all"},
        [&filter](const std::string& state) {
            filter.states = state == "all" ? std::vector<std::string>{} : std::vector{state};
        },
        "in this state")
        ->default_str("open and parked");
}

/// One that changes what its filters select: never everything by accident.
void add_change(const Commands& commands, const char* name, const char* description, Run run) {
    const auto order = std::make_shared<Order>();
    CLI::App& command = add(commands, order, name, description, run);
    command.add_flag("--all", order->all, "every dead letter in the state");
    add_filters(command, order->filter);
    command.parse_complete_callback([order, name] {
        if (order->all || order->filter.is_narrow()) return;
        throw UsageError(std::string("dead-letters ") + name +
                         " needs numbers, a filter, or --all for every dead letter that waits");
    });
}

}  // namespace

void add_dead_letter_commands(const Commands& commands) {
    const Commands group = add_command_group(
        commands, "dead-letters", "list, redrive or discard events that could not become rows");
    const auto list_order = std::make_shared<Order>();
    CLI::App& list_command = add(group, list_order, "list", "list dead letters",
                                 [](PgConnection& leader, const Config&, const Order& order) {
                                     return list(leader, order);
                                 });
    cli::add_number(list_command, "-n,--limit", {}, list_order->letters_max,
                    "list at most N; 0: all");
    add_filters(list_command, list_order->filter);
    add(group, std::make_shared<Order>(), "sources",
        "list regions and apps with dead letters\n\n"
        "Of each: how many there are, the first reason, and a sample.",
        [](PgConnection& leader, const Config& config, const Order& order) {
            return list_sources(leader, config, order);
        });
    const auto show_order = std::make_shared<Order>();
    CLI::App& show_command =
        add(group, show_order, "show", "print dead letters with their payloads",
            [](PgConnection& leader, const Config&, const Order& order) {
                return show(leader, order);
            });
    add_numbers(show_command, show_order->filter)->required();
    add_change(group, "redrive",
               "write dead letters again, with the current schema\n\n"
               "Needs numbers, a filter or --all. Exit status 1 if some still cannot become rows.",
               redrive);
    add_change(group, "discard", "give dead letters up\n\nNeeds numbers, a filter or --all.",
               [](PgConnection& leader, const Config&, const Order& order) {
                   return discard(leader, order);
               });
}

}  // namespace homeward::consumer
