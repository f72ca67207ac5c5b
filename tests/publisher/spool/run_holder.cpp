// A program for tests of runs: what another process, or the one that a process becomes by exec(),
// finds in a spool.
//
//   run_holder adopt DIR       exits with 0 if the run in DIR is left, else 1
//   run_holder hold DIR        adopts it, writes one byte to standard output, waits to be killed
//   run_holder send SPOOL URL  opens a publisher; exits with 0 once others' runs there are sent

#include <unistd.h>

#include <chrono>
#include <string_view>
#include <thread>

#include <homeward/publisher.hpp>

#include "publisher/spool/run.hpp"

/// Asked by LeakSanitizer, which looks for threads in /proc; a test hides that.
extern "C" int __lsan_is_turned_off() {
    return ::access("/proc/self/task", F_OK) == 0 ? 0 : 1;
}

namespace {

using namespace std::chrono_literals;

int send(const char* spool, const char* url) {
    homeward::PublisherOptions options;
    options.nats_urls = {url};
    options.region = "ams";
    options.app = "shop";
    options.spool_dir = spool;
    homeward::Publisher publisher(options);
    if (publisher.stats().spools_recovering == 0) return 4;  // not found at once
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (publisher.stats().spools_recovering > 0) {
        if (std::chrono::steady_clock::now() >= deadline) return 5;
        std::this_thread::sleep_for(10ms);
    }
    return publisher.close(5s).done ? 0 : 6;
}

}  // namespace

int main(int argc, char** argv) {
    constexpr unsigned kSecondsMax = 120;
    ::alarm(kSecondsMax);
    if (argc < 3) return 2;
    if (argc == 4 && std::string_view(argv[1]) == "send") return send(argv[2], argv[3]);
    const homeward::Run::Found found = homeward::Run::adopt(argv[2]);
    if (found.finding != homeward::Run::Finding::left) return 1;
    if (std::string_view(argv[1]) == "adopt") return 0;
    if (::write(STDOUT_FILENO, "+", 1) != 1) return 3;
    for (;;) ::pause();
}
