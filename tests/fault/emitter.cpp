// An app under test: threads that emit audit and metric events as fast as asked, each event noted
// in a journal before and after emit(). Dies with whatever kills it; SIGTERM ends it in order.
//
//   [EMITTER_LANE_DIR=DIR]
//   emitter NATS_URL SPOOL_DIR JOURNAL_DIR RUN THREADS EVENTS_PER_SECOND_AND_THREAD
//
// With 0 threads it only sends what earlier runs have left in the spool, and ends by itself.

#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <homeward/publisher.hpp>

#include <audit.event.hpp>

#include "tests/support/journal.hpp"

namespace {

using namespace std::chrono_literals;
using namespace homeward;

std::atomic<bool> stopping{false};

testing::Fate fate_of(EmitResult result) {
    return result == EmitResult::accepted ? testing::Fate::accepted : testing::Fate::refused;
}

std::string random_text(std::mt19937_64& random) {
    std::string text(8 + random() % 120, ' ');
    for (char& c : text) c = static_cast<char>('!' + random() % 94);
    return text;
}

void emit_for_ever(Publisher& publisher, testing::JournalWriter& journal, std::uint64_t seed,
                   double events_per_second) {
    std::mt19937_64 random(seed);
    const auto started = std::chrono::steady_clock::now();
    for (std::uint64_t i = 0; !stopping; ++i) {
        const std::string actor = random_text(random);
        const std::uint64_t hash = testing::hash_of(actor);
        const std::string key = journal.begin(hash);
        events::Audit event;
        event.actor = actor;
        event.action = "test.emit";
        event.resource = key;
        event.outcome = events::Audit::Outcome::allowed;
        journal.end(fate_of(publisher.emit(event)));
        const auto due =
            started + std::chrono::duration<double>(static_cast<double>(i) / events_per_second);
        if (i % 16 == 0 && due > std::chrono::steady_clock::now()) {
            std::this_thread::sleep_until(due);
        }
    }
}

void send_what_was_left(Publisher& publisher) {
    for (int i = 0; i < 600 && !stopping; ++i) {
        std::this_thread::sleep_for(100ms);
        if (publisher.stats().spools_recovering == 0) return;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 7) {
        std::fprintf(stderr, "usage: emitter NATS SPOOL JOURNAL RUN THREADS EVENTS_PER_SECOND\n");
        return 2;
    }
    signal(SIGTERM, [](int) { stopping = true; });
    const std::uint64_t run = std::strtoull(argv[4], nullptr, 10);
    const auto threads_max = static_cast<std::uint32_t>(std::atoi(argv[5]));
    const double events_per_second = std::atof(argv[6]);

    PublisherOptions options;
    options.nats_urls = {argv[1]};
    options.region = "ams";
    options.app = "shop";
    options.spool_dir = argv[2];
    // Each run writes the other frame version: lines first, then columns.
    options.frame_version = run % 2 != 0 ? 1 : 2;
    if (const char* lane_dir = std::getenv("EMITTER_LANE_DIR")) options.lane_dir = lane_dir;
    options.on_log = [](std::string_view line) {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    };
    Publisher publisher(options);
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<testing::JournalWriter>> journals;
    for (std::uint32_t i = 0; i < threads_max; ++i) {
        journals.push_back(std::make_unique<testing::JournalWriter>(argv[3], run, i));
        threads.emplace_back([&, i, journal = journals.back().get()] {  // the vector still grows
            emit_for_ever(publisher, *journal, run * 1000 + i, events_per_second);
        });
    }
    if (threads.empty()) send_what_was_left(publisher);
    for (std::thread& thread : threads) thread.join();
    const FlushResult left = publisher.close(20s);
    std::fprintf(stderr, "closed, %llu events left\n",
                 static_cast<unsigned long long>(left.events_left));
    return left.done ? 0 : 1;
}
