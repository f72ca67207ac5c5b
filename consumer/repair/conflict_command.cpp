#include "consumer/repair/conflict_command.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "consumer/base/command_words.hpp"
#include "consumer/base/plain_text.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/repair/conflict_acceptor.hpp"
#include "consumer/repair/conflicts.hpp"

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

Order parse(const std::vector<std::string>& words) {
    Order order;
    for (WordReader reader(words, 1); reader.next();) {
        const std::string& word = reader.word();
        if (word == "--json") {
            order.as_json = true;
        } else if (word == "--all") {
            order.all = true;
        } else if (word == "--limit") {
            order.conflicts_max = number_of(reader.value(), word);
        } else if (word == "--state") {
            order.filter.states = states_of(reader.value(), {"open", "accepted", "discarded"});
        } else if (word == "--region") {
            order.filter.region = reader.value();
        } else if (word == "--app") {
            order.filter.app = reader.value();
        } else if (word == "--reason") {
            order.filter.reason = reader.value();
        } else if (word == "--since") {
            order.filter.since = reader.value();
        } else if (word.rfind("--", 0) == 0) {
            throw UsageError("conflicts does not know " + word);
        } else {
            order.filter.ids.push_back(number_of(word, "a conflict's number"));
        }
    }
    return order;
}

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
    for (const FrameTombstone& one : content.tombstones) {
        append_tombstone(content.body, one.reason, one.count, header.cut_time_us);
    }
    return content.body;
}

int show(PgConnection& leader, Order order) {
    if (order.filter.ids.empty()) throw UsageError("conflicts show needs a number");
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

}  // namespace

int run_conflicts(const Config& config, const std::vector<std::string>& words) {
    const std::string command = words.empty() ? "" : words[0];
    if (command != "list" && command != "show" && command != "accept" && command != "discard") {
        throw UsageError("conflicts needs list, show, accept or discard");
    }
    const Order order = parse(words);
    const bool judges = command == "accept" || command == "discard";
    if (judges && !order.all && !order.filter.is_narrow()) {
        throw UsageError("conflicts " + command +
                         " needs numbers or a filter, or --all for every frame that waits");
    }
    PgConnection leader(config.postgres.upkeep_url, config.postgres);
    if (command == "list") return list(leader, order);
    if (command == "show") return show(leader, order);
    if (command == "accept") return accept(leader, config, order);
    return discard(leader, order);
}

}  // namespace homeward::consumer
