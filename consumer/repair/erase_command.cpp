#include "consumer/repair/erase_command.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "consumer/base/command_words.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/repair/erasure.hpp"
#include "consumer/repair/progress_bar.hpp"

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
        throw UsageError("--where is \"" + text + "\"; expected field=value");
    }
    return {text.substr(0, sign), text.substr(sign + 1)};
}

Order parse(const std::vector<std::string>& words) {
    Order order;
    for (WordReader reader(words, 0); reader.next();) {
        const std::string& word = reader.word();
        if (word == "--type") {
            order.type = reader.value();
        } else if (word == "--where") {
            order.conditions.push_back(condition_of(reader.value()));
        } else if (word == "--dry-run") {
            order.is_dry = true;
        } else if (word == "--json") {
            order.as_json = true;
        } else {
            throw UsageError("erase does not know " + word);
        }
    }
    if (order.type.empty()) throw UsageError("erase needs --type");
    if (order.conditions.empty()) throw UsageError("erase needs --where field=value");
    return order;
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

}  // namespace

int run_erase(const Config& config, const std::vector<std::string>& words) {
    const Order order = parse(words);
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

}  // namespace homeward::consumer
