#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "consumer/metrics/metrics.hpp"

namespace homeward::consumer {

/// All that is counted, at this moment; names and units by Prometheus' convention. What was renamed
/// has its old name, too, until 1.0.
std::vector<prometheus::MetricFamily> metric_families(const Metrics& metrics);

/// One metric of a family.
prometheus::ClientMetric metric_value(prometheus::MetricType type, double value,
                                      std::vector<prometheus::ClientMetric::Label> labels = {});

/// In Prometheus' text format.
std::string metrics_text(const std::vector<prometheus::MetricFamily>& families);

}  // namespace homeward::consumer
