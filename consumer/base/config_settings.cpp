#include "consumer/base/config_settings.hpp"

#include <charconv>
#include <set>
#include <sstream>
#include <utility>

namespace homeward::consumer {
namespace {

Setter text_setter(std::string& target) {
    return [&target](const std::string& text) { target = text; };
}

Setter count_setter(std::size_t& target, std::size_t min, std::size_t max) {
    return [&target, min, max](const std::string& text) {
        std::size_t value = 0;
        const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
        if (result.ec != std::errc{} || result.ptr != text.data() + text.size() || value < min ||
            value > max) {
            throw BadValue{"a whole number from " + std::to_string(min) + " to " +
                           std::to_string(max)};
        }
        target = value;
    };
}

Setter bool_setter(bool& target) {
    return [&target](const std::string& text) {
        if (text != "true" && text != "false") throw BadValue{"true or false"};
        target = text == "true";
    };
}

Setter list_setter(std::vector<std::string>& target, bool may_be_empty = false) {
    return [&target, may_be_empty](const std::string& text) {
        target.clear();
        std::istringstream stream(text);
        for (std::string part; std::getline(stream, part, ',');) {
            if (!part.empty()) target.push_back(part);
        }
        if (target.empty() && !may_be_empty) throw BadValue{"at least one, separated by commas"};
    };
}

Setter choice_setter(std::string& target, std::set<std::string> choices) {
    return [&target, choices = std::move(choices)](const std::string& text) {
        if (choices.count(text) == 0) {
            std::string expected = "one of";
            for (const auto& choice : choices) expected += " " + choice;
            throw BadValue{expected};
        }
        target = text;
    };
}

}  // namespace

std::map<std::string, Setter> setters(Config& c) {
    return {
        {"nats.urls", list_setter(c.nats.urls)},
        {"nats.credentials_file", text_setter(c.nats.credentials_file)},
        {"nats.nkey_file", text_setter(c.nats.nkey_file)},
        {"nats.tls_ca_file", text_setter(c.nats.tls_ca_file)},
        {"nats.tls_cert_file", text_setter(c.nats.tls_cert_file)},
        {"nats.tls_key_file", text_setter(c.nats.tls_key_file)},
        {"postgres.url", text_setter(c.postgres.url)},
        {"postgres.owner_url", text_setter(c.postgres.owner_url)},
        {"postgres.upkeep_url", text_setter(c.postgres.upkeep_url)},
        {"postgres.event_schema", text_setter(c.postgres.event_schema)},
        {"postgres.ack_after", choice_setter(c.postgres.ack_after, {"commit", "replicated"})},
        {"postgres.lock_timeout_ms", count_setter(c.postgres.lock_timeout_ms, 100, 600'000)},
        {"postgres.statement_timeout_ms",
         count_setter(c.postgres.statement_timeout_ms, 1'000, 3'600'000)},
        {"batch.rows_max", count_setter(c.batch.rows_max, 1, 1'000'000)},
        {"batch.bytes_max", count_setter(c.batch.bytes_max, 1u << 16, 256u << 20)},
        {"batch.delay_ms", count_setter(c.batch.delay_ms, 0, 10'000)},
        {"batch.adaptive_delay", bool_setter(c.batch.adaptive_delay)},
        {"batch.writers", count_setter(c.batch.writers, 1, 64)},
        {"batch.bad_events_max", count_setter(c.batch.bad_events_max, 1, 1'000'000)},
        {"streams.audit_bytes_max", count_setter(c.streams.audit_bytes_max, 0, 1ull << 50)},
        {"streams.metric_bytes_max", count_setter(c.streams.metric_bytes_max, 0, 1ull << 50)},
        {"streams.plain_bytes_max", count_setter(c.streams.plain_bytes_max, 0, 1ull << 50)},
        {"streams.app_messages_max", count_setter(c.streams.app_messages_max, 0, 1ull << 40)},
        {"pull.messages_max", count_setter(c.pull.messages_max, 1, 65'536)},
        {"pull.bytes_max", count_setter(c.pull.bytes_max, 2u << 20, 1u << 30)},
        {"pull.ack_wait_ms", count_setter(c.pull.ack_wait_ms, 1'000, 3'600'000)},
        {"streams.history_hours", count_setter(c.streams.history_hours, 0, 8'760)},
        {"schema.automatic", bool_setter(c.schema.automatic)},
        {"schema.types_dir", text_setter(c.schema.types_dir)},
        {"schema.partitions_ahead_days", count_setter(c.schema.partitions_ahead_days, 1, 366)},
        {"schema.past_max_days", count_setter(c.schema.past_max_days, 1, 36'500)},
        {"ledger.compact_interval_ms", count_setter(c.ledger.compact_interval_ms, 100, 3'600'000)},
        {"ledger.forget_days", count_setter(c.ledger.forget_days, 1, 36'500)},
        {"ledger.ranges_max", count_setter(c.ledger.ranges_max, 100, 1'000'000)},
        {"ledger.new_origins_max", count_setter(c.ledger.new_origins_max, 1, 1'000'000'000)},
        {"dead_letters.letters_max", count_setter(c.dead_letters.letters_max, 1, 1'000'000'000)},
        {"dead_letters.source_letters_max",
         count_setter(c.dead_letters.source_letters_max, 0, 1'000'000'000)},
        {"dead_letters.newer_frames_of", list_setter(c.dead_letters.newer_frames_of, true)},
        {"dead_letters.bytes_max", count_setter(c.dead_letters.bytes_max, 1u << 10, 1ull << 40)},
        {"admin.listen", text_setter(c.admin.listen)},
        {"admin.hosts", list_setter(c.admin.hosts, true)},
        {"admin.token", text_setter(c.admin.token)},
        {"admin.tls_cert_file", text_setter(c.admin.tls_cert_file)},
        {"admin.tls_key_file", text_setter(c.admin.tls_key_file)},
        {"log.level", choice_setter(c.log.level, {"debug", "info", "warn", "error"})},
        {"log.format", choice_setter(c.log.format, {"text", "json"})},
    };
}

void apply_setter(const Setter& setter, const std::string& text, const std::string& where,
                  const std::string& key) {
    try {
        setter(text);
    } catch (const BadValue& bad) {
        throw ConfigError(where + ": " + key + " is \"" + text + "\"; expected " + bad.expected);
    }
}

std::size_t parse_replicas(const std::string& text, const std::string& where) {
    std::size_t replicas = 1;
    apply_setter(count_setter(replicas, 1, 5), text, where, "replicas");
    return replicas;
}

}  // namespace homeward::consumer
