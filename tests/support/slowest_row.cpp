#include "tests/support/slowest_row.hpp"

#include <algorithm>
#include <stdexcept>

#include "tests/support/process.hpp"

namespace homeward::testing {

using namespace std::chrono_literals;

std::chrono::milliseconds slowest_row(
    const PostgresServer& leader, int count,
    const std::function<void(const std::string& resource)>& send) {
    static int next = 0;
    std::chrono::milliseconds longest{0};
    for (int i = 0; i < count; ++i) {
        const std::string resource = "paced " + std::to_string(next++);
        const auto sent = std::chrono::steady_clock::now();
        send(resource);
        const bool has_come = wait_until(30s, [&] {
            return leader.number("SELECT count(*) FROM audit_events WHERE resource = '" + resource +
                                 "'") == 1;
        });
        if (!has_come) throw std::runtime_error("no row of \"" + resource + "\" within 30 s");
        longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::steady_clock::now() - sent));
    }
    return longest;
}

}  // namespace homeward::testing
