#include "tests/bench/support/workload.hpp"

#include <cassert>
#include <cstdio>
#include <cstring>
#include <random>

namespace homeward::bench {
namespace {

using Random = std::mt19937_64;

template <typename... Values>
std::string formatted(const char* format, Values... values) {
    std::array<char, 256> text;
    const int length = std::snprintf(text.data(), text.size(), format, values...);
    return {text.data(), static_cast<std::size_t>(length)};
}

std::string request_id(RequestIds ids, std::size_t number, Random& random) {
    if (ids == RequestIds::counted) return formatted("ams-7f3a9c2e-%08zx", number);
    const std::uint64_t high = random();
    const std::uint64_t low = random();
    return formatted("%08llx-%04llx-4%03llx-%04llx-%012llx",
                     static_cast<unsigned long long>(high >> 32),
                     static_cast<unsigned long long>(high >> 16 & 0xffff),
                     static_cast<unsigned long long>(high & 0xfff),
                     static_cast<unsigned long long>(low >> 48 | 0x8000),
                     static_cast<unsigned long long>(low & 0xffffffffffff));
}

std::string json_of(const AuditSample& sample, std::size_t number) {
    return formatted(R"({"type":"audit","time":%zu,"actor":")",
                     1'764'000'000'000'000 + number * 17) +
           sample.actor + R"(","action":")" + sample.action + R"(","resource":")" +
           sample.resource + R"(","outcome":")" +
           std::string(events::Audit::to_text(sample.outcome)) + R"(","request_id":")" +
           sample.request_id + R"(","detail":)" + sample.detail + "}";
}

}  // namespace

events::Audit AuditSample::event() const {
    events::Audit event;
    event.actor = actor;
    event.action = action;
    event.resource = resource;
    event.outcome = outcome;
    event.request_id = request_id;
    event.detail = JsonText{detail};
    return event;
}

std::vector<AuditSample> audit_samples(std::size_t count, RequestIds ids) {
    static constexpr const char* kActions[] = {"order.view", "order.create", "cart.update",
                                               "user.login", "invoice.view", "order.cancel"};
    Random random(20260701);
    std::vector<AuditSample> samples(count);
    for (std::size_t i = 0; i < count; ++i) {
        AuditSample& sample = samples[i];
        const std::uint64_t chance = random() % 100;
        sample.actor =
            formatted("user:%u@customer-%u.example", static_cast<unsigned>(random() % 100'000),
                      static_cast<unsigned>(random() % 500));
        sample.action = kActions[random() % std::size(kActions)];
        sample.resource =
            formatted("order:%u/invoice:%u", static_cast<unsigned>(random() % 9'000'000),
                      static_cast<unsigned>(random() % 10'000));
        sample.outcome = chance < 95   ? events::Audit::Outcome::allowed
                         : chance < 99 ? events::Audit::Outcome::denied
                                       : events::Audit::Outcome::failed;
        sample.request_id = request_id(ids, i, random);
        sample.detail =
            formatted(R"({"ip":"10.%u.%u.%u","status":%d,"duration_ms":%u})",
                      static_cast<unsigned>(random() % 4), static_cast<unsigned>(random() % 256),
                      static_cast<unsigned>(random() % 256), chance < 95 ? 200 : 403,
                      static_cast<unsigned>(random() % 60 + 2));
        sample.json = json_of(sample, i);
    }
    return samples;
}

std::string_view FreshEvent::keep(std::string_view text, std::size_t& used) {
    assert(used + text.size() <= text_.size());
    std::memcpy(text_.data() + used, text.data(), text.size());
    used += text.size();
    return {text_.data() + used - text.size(), text.size()};
}

const events::Audit& FreshEvent::load(const AuditSample& sample) {
    std::size_t used = 0;
    event_.actor = keep(sample.actor, used);
    event_.action = keep(sample.action, used);
    event_.resource = keep(sample.resource, used);
    event_.outcome = sample.outcome;
    event_.request_id = keep(sample.request_id, used);
    event_.detail = JsonText{keep(sample.detail, used)};
    return event_;
}

events::Metric MetricSample::event() const {
    events::Metric event;
    event.name = name;
    event.kind = events::Metric::Kind::gauge;
    event.value = value;
    event.tags = JsonText{tags};
    return event;
}

std::vector<MetricSample> metric_samples(std::size_t count) {
    static constexpr const char* kNames[] = {"request_duration_seconds", "queue_length",
                                             "db_pool_in_use", "cache_hits_total"};
    Random random(20260702);
    std::vector<MetricSample> samples(count);
    for (MetricSample& sample : samples) {
        sample.name = kNames[random() % std::size(kNames)];
        sample.tags = formatted(R"({"route":"/orders","host":"app-%u"})",
                                static_cast<unsigned>(random() % 8));
        sample.value = static_cast<double>(random() % 100'000) / 1000;
    }
    return samples;
}

}  // namespace homeward::bench
