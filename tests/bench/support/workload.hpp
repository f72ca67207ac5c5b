#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <audit.event.hpp>
#include <metric.event.hpp>

namespace homeward::bench {

/// How requests are numbered: random bits do not compress, and cost wire bytes.
enum class RequestIds : std::uint8_t { counted, random_uuid };

/// One audit event of the workload, as parts and as the JSON line that anybody else would send.
struct AuditSample {
    std::string actor, action, resource, request_id, detail;
    events::Audit::Outcome outcome;
    std::string json;

    /// Views into this sample.
    events::Audit event() const;
};

/// Audit events of a web shop: six fields, a lane record of about 200 bytes, all different.
std::vector<AuditSample> audit_samples(std::size_t count, RequestIds ids = RequestIds::counted);

/// An event whose strings have just been made, as in an app: copied next to each other before the
/// measured call, so that the call does not pay for cold text that only a bench has.
class FreshEvent {
  public:
    const events::Audit& load(const AuditSample& sample);

  private:
    std::string_view keep(std::string_view text, std::size_t& used);
    std::array<char, 512> text_;
    events::Audit event_;
};

struct MetricSample {
    std::string name, tags;
    double value;
    events::Metric event() const;
};
std::vector<MetricSample> metric_samples(std::size_t count);

}  // namespace homeward::bench
