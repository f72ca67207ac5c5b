#include "consumer/service/admin.hpp"

#include <cstdlib>

#include "consumer/metrics/metric_families.hpp"

namespace homeward::consumer {
namespace {

HttpAnswer page(const std::string& policy) {
    return {200,
            std::string(status_html()),
            "text/html; charset=utf-8",
            {{"Content-Security-Policy", policy},
             {"X-Content-Type-Options", "nosniff"},
             {"Referrer-Policy", "no-referrer"},
             {"Cache-Control", "no-store"}}};
}

/// Of "since=7"; 0 for anything else.
std::uint64_t since_in(std::string_view query) {
    constexpr std::string_view kName = "since=";
    if (query.substr(0, kName.size()) != kName) return 0;
    return std::strtoull(std::string(query.substr(kName.size())).c_str(), nullptr, 10);
}

std::map<std::string, HttpRoute> routes_of(const Metrics& metrics, StatusPage& status,
                                           const std::function<Readiness()>& readiness) {
    return {
        {"/", {[policy = status_policy()](std::string_view) { return page(policy); }}},
        {"/status.json", {[&status](std::string_view query) {
             return HttpAnswer{200, status.json(since_in(query)), "application/json"};
         }}},
        {"/metrics", {[&metrics, &status](std::string_view) {
             auto families = metric_families(metrics);
             families.push_back(status.freshness_metrics());
             return HttpAnswer{200, metrics_text(families),
                               "text/plain; version=0.0.4; charset=utf-8"};
         }}},
        {"/runbook", {[](std::string_view) {
             return HttpAnswer{200, std::string(runbook_text())};
         }}},
        {"/livez",
         {[](std::string_view) {
              return HttpAnswer{200, "ok\n"};
          },
          true}},
        {"/readyz",
         {[readiness](std::string_view) {
              const Readiness now = readiness();
              return HttpAnswer{now.is_ready ? 200u : 503u, now.text + "\n"};
          },
          true}},
    };
}

}  // namespace

Admin::Admin(const Config::Admin& config, const Metrics& metrics, StatusPage& status,
             const std::function<Readiness()>& readiness)
    : server_(
          {config.listen, config.hosts, config.token, config.tls_cert_file, config.tls_key_file},
          routes_of(metrics, status, readiness)) {}

}  // namespace homeward::consumer
