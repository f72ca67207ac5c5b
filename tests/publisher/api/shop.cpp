#include "tests/publisher/api/shop.hpp"

#include "tests/support/process.hpp"

namespace homeward::testing {

events::Audit sample_audit() {
    events::Audit event;
    event.actor = "user:42";
    event.action = "order.view";
    event.resource = "order:1234";
    event.outcome = events::Audit::Outcome::allowed;
    return event;
}

events::Metric sample_metric() {
    events::Metric event;
    event.name = "requests";
    event.kind = events::Metric::Kind::counter;
    event.value = 1;
    return event;
}

PublisherOptions options_without_server() {
    PublisherOptions options;
    options.nats_urls = {"nats://127.0.0.1:" + std::to_string(free_port())};
    options.region = "ams";
    options.app = "shop";
    return options;
}

std::size_t lane_files(const std::filesystem::path& lane_dir) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(lane_dir)) {
        count += entry.path().filename().string().rfind("lane-", 0) == 0 ? 1 : 0;
    }
    return count;
}

}  // namespace homeward::testing
