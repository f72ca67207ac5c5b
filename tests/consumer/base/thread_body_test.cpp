// An exception that leaves one of the consumer's threads. Method: it is thrown in a forked child,
// as it ends the process.

#include "consumer/base/thread_body.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <regex>
#include <stdexcept>

#include "consumer/pull/frame_verifier.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::consumer;
using namespace homeward::testing;
using Catch::Matchers::Contains;

namespace {

constexpr unsigned kChildSecondsMax = 20;

struct ChildEnd {
    int status;
    std::string log;
};

/// How a child ends that does this, and what it has logged.
ChildEnd end_of(const std::function<void()>& work) {
    const TempDir dir;
    const std::filesystem::path log = dir / "log";
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(kChildSecondsMax);
        spdlog::set_default_logger(std::make_shared<spdlog::logger>(
            "", std::make_shared<spdlog::sinks::basic_file_sink_mt>(log.string())));
        work();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return {status, read_file(log)};
}

}  // namespace

TEST_CASE("an exception that leaves a thread ends the process, and its last line names both") {
    if (!kCanForkThreads) return;
    const ChildEnd end = end_of(
        [] { start_thread("writer", [] { throw std::runtime_error("no more memory"); }).join(); });
    CHECK(WIFEXITED(end.status));
    CHECK(WEXITSTATUS(end.status) == kThreadDiedExit);
    CHECK_THAT(end.log, Contains("thread writer ended by an exception: no more memory"));
}

TEST_CASE("an exception behind a signature check ends the process like one of any thread") {
    if (!kCanForkThreads) return;
    const ChildEnd end = end_of([] {
        FrameVerifier verifier([](PulledMessage) { throw std::bad_alloc(); });
        verifier.push({});
        ::pause();
    });
    CHECK(WIFEXITED(end.status));
    CHECK(WEXITSTATUS(end.status) == kThreadDiedExit);
    CHECK_THAT(end.log, Contains("thread signature check ended by an exception"));
}

TEST_CASE("every thread of the consumer is started by start_thread()") {
    const std::regex start(R"(std::j?thread(\s+\w+)?[({]\s*\[|threads?_?\.emplace_back\()");
    int sources = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(HOMEWARD_CONSUMER)) {
        if (entry.path().extension() != ".cpp" || entry.path().stem() == "thread_body") continue;
        INFO(entry.path());
        CHECK_FALSE(std::regex_search(read_file(entry.path()), start));
        ++sources;
    }
    CHECK(sources > 50);
}
