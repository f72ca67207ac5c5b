#include "tests/bench/support/leader_cpu.hpp"

#include <cstdlib>
#include <stdexcept>

#include "consumer/tune/process_stat.hpp"

namespace homeward::bench {

LeaderCpu::LeaderCpu(const testing::PostgresServer& leader) {
    const auto checkpointer = consumer::read_process_stat(static_cast<pid_t>(
        leader.number("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")));
    if (!checkpointer) throw std::runtime_error("cannot read /proc");
    postmaster_ = checkpointer->parent;
    at_start_ = consumer::family_seconds(postmaster_);
}

double LeaderCpu::seconds() const {
    return consumer::family_seconds(postmaster_) - at_start_;
}

}  // namespace homeward::bench
