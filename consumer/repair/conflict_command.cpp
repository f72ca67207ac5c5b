#include "consumer/repair/conflict_command.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "consumer/base/command_output.hpp"
#include "consumer/base/plain_text.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/repair/conflict_acceptor.hpp"
#include "consumer/repair/conflicts.hpp"
#include "schemas/cli/options.hpp"
#include "schemas/columns/event_line.hpp"

namespace homeward::consumer {
namespace {

using nlohmann::json;

constexpr std::int64_t kListedDefault = 100;

struct Order {
    ConflictFilter filter;
    bool as_json = false;
    bool all = false;
    std::int64_t conflicts_max = kListedDefault;
};

std::string origin_of(const Conflict& one) {
    if (one.publisher.empty()) return "forgotten";
    return one.origin_region + "/" + one.origin_app + " " + one.publisher.substr(0, 8);
}

std::string seqs_of(const Conflict& one) {
    if (one.seq_last < one.seq_first) return "none";
    return std::to_string(one.seq_first) + "-" + std::to_string(one.seq_last);
}

json to_json(const Conflict& one) {
    return {{"id", one.id},
            {"state", one.state},
            {"origin", one.origin},
            {"class", one.event_class},
            {"publisher", one.publisher},
            {"origin_region", one.origin_region},
            {"origin_app", one.origin_app},
            {"region", one.region},
            {"app", one.app},
            {"seq_first", one.seq_first},
            {"seq_last", one.seq_last},
            {"unsettled", one.unsettled},
            {"reason", one.reason},
            {"message_time", one.message_time},
            {"seen_at", one.seen_at},
            {"closed_at", one.closed_at},
            {"frame_bytes", one.frame_bytes}};
}

int list(PgConnection& leader, const Order& order) {
    const auto conflicts = read_conflicts(leader, order.filter, order.conflicts_max);
    if (order.as_json) {
        json array = json::array();
        for (const Conflict& one : conflicts) array.push_back(to_json(one));
        std::printf("%s\n", dumped(array).c_str());
        return 0;
    }
    std::printf("%10s  %-9s  %-16s  %-24s  %-17s  %9s  %s\n", "id", "state", "came from",
                "claims the origin", "seqs", "unsettled", "reason");
    for (const Conflict& one : conflicts) {
        std::printf("%10lld  %-9s  %-16s  %-24s  %-17s  %9lld  %s\n",
                    static_cast<long long>(one.id), one.state.c_str(),
                    (one.region + "/" + one.app).c_str(), origin_of(one).c_str(),
                    seqs_of(one).c_str(), static_cast<long long>(one.unsettled),
                    one_line(one.reason, 120).c_str());
    }
    std::printf("%zu of %zu\n", conflicts.size(), find_conflicts(leader, order.filter).size());
    return 0;
}

/// The frame's lines, or why there are none.
std::string body_of(const std::string& frame) {
    FrameHeader header;
    FrameContent content;
    const FrameError error =
        FrameDecoder().decode(std::as_bytes(std::span<const char>(frame)), header, content);
    if (error != FrameError::none) return "(" + std::string(explain(error)) + ")";
    if (!columns::to_lines(content, header.line_count)) return "(its columns are damaged)";
    for (const FrameTombstone& one : content.tombstones) {
        append_tombstone(content.body, one.reason, one.count, header.cut_time_us);
    }
    return content.body;
}

int show(PgConnection& leader, Order order) {
    order.filter.states.clear();
    const auto conflicts = read_conflicts(leader, order.filter, 0, true);
    for (const Conflict& one : conflicts) {
        json object = to_json(one);
        const std::string body = one.frame.empty() ? "" : body_of(one.frame);
        if (order.as_json) {
            object["body"] = body;
            std::printf("%s\n", dumped(object).c_str());
            continue;
        }
        print_fields(object);
        std::printf("%s\n\n", printable(body).c_str());
    }
    if (conflicts.size() == order.filter.ids.size()) return 0;
    std::fprintf(stderr, "homeward-consumer: %zu of the %zu numbers are no conflict's\n",
                 order.filter.ids.size() - conflicts.size(), order.filter.ids.size());
    return 1;
}

int accept(PgConnection& leader, const Config& config, const Order& order) {
    const auto ids = find_conflicts(leader, order.filter);
    ConflictAcceptor acceptor(config, std::make_shared<const Catalog>(known_event_types(config)));
    Acceptance sum;
    std::uint64_t accepted = 0;
    std::uint64_t unreadable = 0;
    for (std::int64_t id : ids) {
        const Acceptance one = acceptor.accept(leader, id);
        accepted += one.kind == Acceptance::Kind::accepted ? 1 : 0;
        unreadable += one.kind == Acceptance::Kind::unreadable ? 1 : 0;
        sum.rows += one.rows;
        sum.dead_letters += one.dead_letters;
        sum.tombstones += one.tombstones;
        sum.settled += one.settled;
    }
    print_result(order.as_json, {{"found", ids.size()},
                                 {"accepted", accepted},
                                 {"unreadable", unreadable},
                                 {"rows", sum.rows},
                                 {"dead_letters", sum.dead_letters},
                                 {"tombstoned", sum.tombstones},
                                 {"there_already", sum.settled}});
    return unreadable == 0 ? 0 : 1;
}

int discard(PgConnection& leader, const Order& order) {
    const auto ids = find_conflicts(leader, order.filter);
    const Discard done = discard_conflicts(leader, ids);
    print_result(
        order.as_json,
        {{"found", ids.size()}, {"discarded", done.discarded}, {"tombstoned", done.tombstoned}});
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

CLI::Option* add_numbers(CLI::App& command, ConflictFilter& filter) {
    return cli::add_numbers(command, "NUMBER", filter.ids, "numbers of conflicts")
        ->type_name("NUMBER");
}

void add_filters(CLI::App& command, ConflictFilter& filter) {
    add_numbers(command, filter);
    command.option_defaults()->group("Filters");
    cli::add_text(command, "-r,--region", "REGION", filter.region, "received from this region");
    cli::add_text(command, "-a,--app", "APP", filter.app, "received from this app");
    cli::add_text(command, "--reason", "TEXT", filter.reason,
                  "whose reason contains this text, in upper or lower case");
    cli::add_text(command, "-s,--since", "TIME", filter.since,
                  "seen at this time or later, in any format that PostgreSQL reads");
    cli::add_choice(
        command, "--state", {"open", "accepted", "discarded", "all"},
        [&filter](const std::string& state) {
            filter.states = state == "all" ? std::vector<std::string>{} : std::vector{state};
        },
        "in this state");
}

/// One that changes what its filters select: never everything by accident.
void add_change(const Commands& commands, const char* name, const char* description, Run run) {
    const auto order = std::make_shared<Order>();
    CLI::App& command = add(commands, order, name, description, run);
    command.add_flag("--all", order->all, "every quarantined frame in the state");
    add_filters(command, order->filter);
    command.parse_complete_callback([order, name] {
        if (order->all || order->filter.is_narrow()) return;
        throw UsageError(std::string("conflicts ") + name +
                         " needs numbers, a filter, or --all for every frame that waits");
    });
}

}  // namespace

void add_conflict_commands(const Commands& commands) {
    const Commands group = add_command_group(
        commands, "conflicts",
        "list, accept or discard frames that conflict with the ledger\n\n"
        "A frame is quarantined when its origin belongs to another region or app, "
        "or when a part of its seqs is settled.");
    const auto list_order = std::make_shared<Order>();
    CLI::App& list_command = add(group, list_order, "list", "list quarantined frames",
                                 [](PgConnection& leader, const Config&, const Order& order) {
                                     return list(leader, order);
                                 });
    cli::add_number(list_command, "-n,--limit", {}, list_order->conflicts_max,
                    "list at most N; 0: all");
    add_filters(list_command, list_order->filter);
    const auto show_order = std::make_shared<Order>();
    CLI::App& show_command =
        add(group, show_order, "show", "print quarantined frames with their events",
            [](PgConnection& leader, const Config&, const Order& order) {
                return show(leader, order);
            });
    add_numbers(show_command, show_order->filter)->required();
    add_change(
        group, "accept",
        "take frames for their origins\n\n"
        "Events that the ledger lacks are written; those that it has stay as they are. Needs "
        "numbers, a filter or --all.",
        accept);
    add_change(
        group, "discard",
        "give frames up\n\n"
        "Seqs that the origin's own frame had and the ledger lacks become tombstones. A frame "
        "of another app leaves no trace. Needs numbers, a filter or --all.",
        [](PgConnection& leader, const Config&, const Order& order) {
            return discard(leader, order);
        });
}

}  // namespace homeward::consumer
