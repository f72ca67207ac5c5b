// How long the first emit() of a thread takes, and the first of a forked child.
//
// Workload: threads that begin 40 ms after each other, live until the end and emit one event; then
// children that are forked one after the other, emit one and close. No server: nobody waits for
// one.

#include "tests/bench/first_emits.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include <homeward/publisher.hpp>

#include "tests/bench/support/app_home.hpp"
#include "tests/bench/support/workload.hpp"

namespace homeward::bench {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

/// And as many children.
constexpr int kThreads = 40;
constexpr double kThreadUs = 50;
constexpr double kChildUs = 1000;
/// Nobody listens there.
constexpr const char* kNoServer = "nats://127.0.0.1:1";

double first_emit_us(Publisher& publisher, const AuditSample& sample) {
    const events::Audit event = sample.event();
    const auto began = SteadyClock::now();
    const EmitResult result = publisher.emit(event);
    const std::chrono::duration<double, std::micro> took = SteadyClock::now() - began;
    if (result != EmitResult::accepted) throw std::runtime_error("a first event was not accepted");
    return took.count();
}

std::vector<double> of_threads(Publisher& publisher, const std::vector<AuditSample>& samples) {
    std::vector<double> times(kThreads);
    std::atomic<bool> is_over{false};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < times.size(); ++i) {
        threads.emplace_back([&, i] {
            times[i] = first_emit_us(publisher, samples[i]);
            is_over.wait(false);
        });
        std::this_thread::sleep_for(40ms);
    }
    is_over = true;
    is_over.notify_all();
    for (std::thread& thread : threads) thread.join();
    return times;
}

double of_child(Publisher& publisher, const AuditSample& sample) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe() failed");
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        double took = 0;
        try {
            took = first_emit_us(publisher, sample);
        } catch (const std::exception&) {
            ::_exit(1);
        }
        const bool is_told = ::write(ends[1], &took, sizeof took) == sizeof took;
        publisher.close(0ms);
        ::_exit(is_told ? 0 : 1);
    }
    ::close(ends[1]);
    double took = 0;
    const bool is_told = ::read(ends[0], &took, sizeof took) == sizeof took;
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    if (!is_told) throw std::runtime_error("a child's first event was not accepted");
    return took;
}

void add(Report& report, const std::string& name, std::vector<double> times, double budget_us) {
    std::sort(times.begin(), times.end());
    report.add({name + ", median", times[times.size() / 2], "us", "", std::nan(""),
                value_at_most(budget_us)});
    report.note("fastest " + short_duration(times.front() * 1e3) + ", slowest " +
                short_duration(times.back() * 1e3));
}

}  // namespace

void measure_first_emits(Report& report) {
    const AppHome home;
    const std::vector<AuditSample> samples = audit_samples(kThreads);
    PublisherOptions options = home.options(kNoServer);
    options.on_log = [](std::string_view) {};  // that there is no server
    Publisher publisher(options);
    report.begin("the first emit()");
    add(report, "first emit of a thread", of_threads(publisher, samples), kThreadUs);
    std::vector<double> times;
    for (const AuditSample& sample : samples) times.push_back(of_child(publisher, sample));
    add(report, "first emit of a forked child", std::move(times), kChildUs);
    publisher.close(0ms);
}

}  // namespace homeward::bench
