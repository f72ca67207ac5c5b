#include "tests/bench/support/app_home.hpp"

#include <stdlib.h>

#include "tests/bench/support/streams.hpp"

namespace homeward::bench {

AppHome::AppHome() {
    std::string pattern = "/dev/shm/homeward-bench.XXXXXX";
    lane_dir_ =
        ::mkdtemp(pattern.data()) != nullptr ? std::filesystem::path(pattern) : dir_ / "lanes";
}

AppHome::~AppHome() {
    std::error_code ignored;
    std::filesystem::remove_all(lane_dir_, ignored);
}

PublisherOptions AppHome::options(const std::string& nats_url) const {
    PublisherOptions options;
    options.nats_urls = {nats_url};
    options.region = kRegion;
    options.app = "bench";
    options.spool_dir = dir_ / "spool";
    options.lane_dir = lane_dir_;
    return options;
}

}  // namespace homeward::bench
