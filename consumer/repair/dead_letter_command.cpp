#include "consumer/repair/dead_letter_command.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "consumer/base/command_words.hpp"
#include "consumer/base/plain_text.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/repair/dead_letters.hpp"
#include "consumer/repair/progress_bar.hpp"

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

Order parse(const std::vector<std::string>& words) {
    Order order;
    for (WordReader reader(words, 1); reader.next();) {
        const std::string& word = reader.word();
        if (word == "--json") {
            order.as_json = true;
        } else if (word == "--all") {
            order.all = true;
        } else if (word == "--limit") {
            order.letters_max = number_of(reader.value(), word);
        } else if (word == "--state") {
            order.filter.states =
                states_of(reader.value(), {"open", "parked", "redriven", "discarded"});
        } else if (word == "--type") {
            order.filter.type = reader.value();
        } else if (word == "--region") {
            order.filter.region = reader.value();
        } else if (word == "--app") {
            order.filter.app = reader.value();
        } else if (word == "--sqlstate") {
            order.filter.sqlstate = reader.value();
        } else if (word == "--reason") {
            order.filter.reason = reader.value();
        } else if (word == "--since") {
            order.filter.since = reader.value();
        } else if (word.rfind("--", 0) == 0) {
            throw UsageError("dead-letters does not know " + word);
        } else {
            order.filter.ids.push_back(number_of(word, "a dead letter's number"));
        }
    }
    return order;
}

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
    if (order.filter.ids.empty()) throw UsageError("dead-letters show needs a number");
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

void require_choice(const std::string& command, const Order& order) {
    if (order.all || order.filter.is_narrow()) return;
    throw UsageError("dead-letters " + command +
                     " needs numbers or a filter, or --all for every letter that waits");
}

}  // namespace

int run_dead_letters(const Config& config, const std::vector<std::string>& words) {
    const std::string command = words.empty() ? "" : words[0];
    const std::vector<std::string> known{"list", "sources", "show", "redrive", "discard"};
    if (std::find(known.begin(), known.end(), command) == known.end()) {
        throw UsageError("dead-letters needs list, sources, show, redrive or discard");
    }
    const Order order = parse(words);
    if (command == "redrive" || command == "discard") require_choice(command, order);
    PgConnection leader(config.postgres.upkeep_url, config.postgres);
    if (command == "list") return list(leader, order);
    if (command == "sources") return list_sources(leader, config, order);
    if (command == "show") return show(leader, order);
    if (command == "redrive") return redrive(leader, config, order);
    return discard(leader, order);
}

}  // namespace homeward::consumer
