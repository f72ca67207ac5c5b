#include "consumer/tune/trial.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "consumer/base/thread_body.hpp"
#include "consumer/base/time.hpp"
#include "consumer/decode/frame_decoder.hpp"
#include "consumer/ledger/ledger.hpp"
#include "consumer/ledger/origin_registry.hpp"
#include "consumer/postgres/partitions.hpp"
#include "consumer/pull/batch_queue.hpp"
#include "consumer/tune/synthetic_frames.hpp"
#include "consumer/write/row_copier.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr double kWarmUpShare = 0.2;
/// A leader that needs longer for a batch than a trial takes is still told apart from one that
/// stands still; but not for ever.
constexpr std::size_t kCommitsMin = 4;
constexpr double kOvertimeMax = 3;
constexpr auto kOvertimeMin = 2s;
/// As a publisher cuts them: 64 KiB of JSON under load, a few milliseconds' worth otherwise.
constexpr std::size_t kFullFrameEvents = 300;
constexpr double kFrameSeconds = 0.005;
/// Frames of so many publishers take turns.
constexpr std::size_t kPublishers = 4;

std::size_t frame_events(double events_per_second) {
    if (events_per_second <= 0) return kFullFrameEvents;
    return static_cast<std::size_t>(std::clamp(std::ceil(events_per_second * kFrameSeconds), 1.0,
                                               static_cast<double>(kFullFrameEvents)));
}

double quantile(std::vector<double>& values, double q) {
    if (values.empty()) return 0;
    const auto at = values.begin() + std::lround(q * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

/// What has arrived: a BatchQueue with a lock, as the puller has one.
class Arrivals {
  public:
    explicit Arrivals(const Config::Pull& limits) : limits_(limits) {}

    /// Waits for room; false once it is closed.
    bool push(PulledMessage pulled) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [this] { return closed_ || queue_.size() < limits_.messages_max; });
        if (closed_) return false;
        queue_.push(std::move(pulled));
        arrived_.notify_one();
        return true;
    }
    /// Empty once it is closed.
    std::vector<PulledMessage> take(const BatchBounds& bounds) {
        std::unique_lock lock(mutex_);
        for (;;) {
            arrived_.wait(lock, [this] { return closed_ || !queue_.empty(); });
            if (closed_) return {};
            const auto due = queue_.due(bounds);
            if (queue_.is_full(bounds) || SteadyClock::now() >= due) break;
            arrived_.wait_until(lock, due);
        }
        auto taken = queue_.take(bounds);
        room_.notify_all();
        if (!queue_.empty()) arrived_.notify_one();
        return taken;
    }
    void note_time(SteadyClock::duration took) {
        const std::lock_guard lock(mutex_);
        queue_.note_time(took);
    }
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        arrived_.notify_all();
        room_.notify_all();
    }

  private:
    Config::Pull limits_;
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::condition_variable room_;
    BatchQueue queue_;
    bool closed_ = false;
};

/// What was committed while somebody counted.
struct Tally {
    std::size_t commits = 0;
    double rows = 0;
    double rows_of_first = 0;
    SteadyClock::time_point first, last;
    std::vector<double> ages_ms;  // of frames, which are all of one size

    void add(double more, const std::vector<double>& their_ages_ms) {
        last = SteadyClock::now();
        if (commits++ == 0) {
            first = last;
            rows_of_first = more;
        }
        rows += more;
        ages_ms.insert(ages_ms.end(), their_ages_ms.begin(), their_ages_ms.end());
    }
    /// From commit to commit, so that it does not matter where in a batch the time began or ended.
    double rows_per_second() const {
        const double seconds = std::chrono::duration<double>(last - first).count();
        return seconds > 0 ? (rows - rows_of_first) / seconds : 0;
    }
};

class Trial {
  public:
    Trial(const TrialPlan& plan, const ScratchSchema& scratch, const EventType& type,
          const std::atomic<bool>& stopping)
        : plan_(plan),
          config_(scratch.config()),
          application_(scratch.name()),
          catalog_(std::make_shared<const Catalog>(std::vector<EventType>{type})),
          stream_{type.event_class == EventClass::audit ? StreamKind::audit : StreamKind::metric,
                  "tune", "", "", ""},
          subject_(frame_subject(type.event_class, "tune", "tune")),
          frames_(type, frame_events(plan.events_per_second)),
          arrivals_(config_.pull),
          stopping_(stopping) {
        for (PublisherId& publisher : publishers_) publisher = PublisherId::random();
    }

    TrialResult run(LeaderCpu& cpu) {
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < plan_.batch.writers; ++i) {
            threads.push_back(start_thread("tune writer", [this] { guard([this] { write(); }); }));
        }
        threads.push_back(start_thread("tune compact", [this] { guard([this] { compact(); }); }));
        threads.push_back(start_thread("tune feed", [this] { guard([this] { feed(); }); }));
        wait(plan_.time * kWarmUpShare, 0);
        const Look before = look(cpu);
        wait(plan_.time * (1 - kWarmUpShare), kCommitsMin);
        const Look after = look(cpu);
        ended_ = true;
        arrivals_.close();
        for (std::thread& thread : threads) thread.join();
        if (error_) std::rethrow_exception(error_);
        return result(before, after);
    }

  private:
    struct Look {
        Tally tally;
        StageSeconds stages;
        double cpu_s;
    };
    /// The tally begins anew.
    Look look(LeaderCpu& cpu) {
        const std::lock_guard lock(mutex_);
        return {std::exchange(tally_, {}), clocks_.read(), cpu.seconds()};
    }

    TrialResult result(const Look& before, Look after) const {
        TrialResult result;
        result.plan = plan_;
        result.rows = after.tally.rows;
        result.batches = static_cast<double>(after.tally.commits);
        result.rows_per_second = after.tally.rows_per_second();
        result.fresh_p50_ms = quantile(after.tally.ages_ms, 0.5);
        result.fresh_p99_ms = quantile(after.tally.ages_ms, 0.99);
        if (result.rows > 0) {
            const double cpu_s = std::max(after.cpu_s - before.cpu_s, 0.0);
            result.leader_cpu_s_per_million = cpu_s / result.rows * 1e6;
        }
        result.stages = after.stages - before.stages;
        return result;
    }

    bool is_over() const { return stopping_ || ended_ || failed_; }

    /// Until the time is over, and so much is committed or that took far too long.
    void wait(std::chrono::duration<double> time, std::size_t commits_min) {
        const auto began = SteadyClock::now();
        for (;;) {
            std::this_thread::sleep_for(2ms);
            const auto waited = SteadyClock::now() - began;
            if (is_over()) return;
            if (waited < time) continue;
            if (waited >=
                std::max<std::chrono::duration<double>>(time * kOvertimeMax, kOvertimeMin))
                return;
            const std::lock_guard lock(mutex_);
            if (tally_.commits >= commits_min) return;
        }
    }

    /// An error of any thread ends the trial, and is the caller's.
    template <typename Work>
    void guard(Work work) {
        try {
            work();
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!error_) error_ = std::current_exception();
            failed_ = true;
            arrivals_.close();
        }
    }

    PgConnection connect() const {
        PgConnection leader(config_.postgres.url, config_.postgres);
        leader.query("SELECT set_config('application_name', $1, false)", {application_});
        return leader;
    }

    void feed() {
        const double per_second = plan_.events_per_second;
        const auto began = SteadyClock::now();
        for (std::uint64_t number = 0; !is_over(); ++number) {
            auto due = SteadyClock::now();
            if (per_second > 0) {
                const double events = static_cast<double>(number * frames_.events_per_frame());
                due = began + std::chrono::duration_cast<SteadyClock::duration>(
                                  std::chrono::duration<double>(events / per_second));
                std::this_thread::sleep_until(due);
            }
            PulledMessage pulled;
            pulled.message.subject = subject_;
            pulled.message.data = frames_.frame(number);
            pulled.message.delivery.stream_seq = number;
            pulled.message.delivery.time_us = system_us();
            pulled.stream = &stream_;
            // It ages from when it was due, also when there was no room for it.
            pulled.arrived = pulled.touched = due;
            if (!arrivals_.push(std::move(pulled))) return;
        }
    }

    void compact() {
        PgConnection leader = connect();
        auto due =
            SteadyClock::now() + std::chrono::milliseconds(config_.ledger.compact_interval_ms);
        while (!is_over()) {
            std::this_thread::sleep_for(10ms);
            if (SteadyClock::now() < due) continue;
            leader.query("SELECT homeward.compact()");
            due =
                SteadyClock::now() + std::chrono::milliseconds(config_.ledger.compact_interval_ms);
        }
    }

    void write() {
        PgConnection leader = connect();
        OriginRegistry origins;
        Partitions partitions(config_.postgres);
        RowCopier copier(config_, *catalog_, partitions);
        MessageDecoder decoder(catalog_, time_limits(config_));
        StageClock& stage = clocks_.add();
        const BatchBounds bounds{plan_.batch.rows_max, plan_.batch.bytes_max,
                                 std::chrono::milliseconds(plan_.batch.delay_ms),
                                 plan_.batch.adaptive_delay};
        for (;;) {
            stage.enter(Stage::wait);
            auto pulled = arrivals_.take(bounds);
            if (pulled.empty()) break;
            const auto began = SteadyClock::now();
            stage.enter(Stage::decode);
            Batch batch;
            for (PulledMessage& one : pulled)
                batch.push_back(open(std::move(one), decoder, leader, origins));
            copier.make_room(leader, batch);
            stage.enter(Stage::copy);
            leader.execute("BEGIN");
            copier.copy(leader, batch);
            ledger::write_rest(leader, batch);
            stage.enter(Stage::commit);
            stage.move(Stage::commit, Stage::ledger,
                       ledger::settle_and_commit(leader, batch).ledger_s);
            count(batch);
            arrivals_.note_time(SteadyClock::now() - began);
        }
        stage.stop();
    }

    /// Its number makes the frame one of its own: all frames of a publisher follow each other.
    MessageWork open(PulledMessage pulled, MessageDecoder& decoder, PgConnection& leader,
                     OriginRegistry& origins) {
        const std::uint64_t number = pulled.message.delivery.stream_seq;
        MessageWork work = decoder.open(std::move(pulled));
        work.header.publisher = publishers_[number % kPublishers];
        work.seq_first = number / kPublishers * frames_.events_per_frame() + 1;
        work.accepted = work.seq_last();
        work.origin = origins
                          .find(leader, work.header.publisher,
                                std::string(to_string(work.header.event_class)), "tune", "tune")
                          .id;
        decoder.decode(work, system_us());
        if (!work.dead.empty()) {
            throw std::runtime_error("tune cannot invent events of type " +
                                     catalog_->types().front().name + ": " +
                                     work.dead.front().reason + "; choose another with --type");
        }
        return work;
    }

    void count(const Batch& batch) {
        const auto now = SteadyClock::now();
        double rows = 0;
        std::vector<double> ages_ms;
        for (const MessageWork& work : batch) {
            rows += static_cast<double>(work.events.size());
            ages_ms.push_back(
                std::chrono::duration<double, std::milli>(now - work.pulled.arrived).count());
        }
        const std::lock_guard lock(mutex_);
        tally_.add(rows, ages_ms);
    }

    TrialPlan plan_;
    const Config& config_;
    std::string application_;
    std::shared_ptr<const Catalog> catalog_;
    Stream stream_;
    const std::string subject_;
    SyntheticFrames frames_;
    std::array<PublisherId, kPublishers> publishers_;
    Arrivals arrivals_;
    StageClocks clocks_;
    const std::atomic<bool>& stopping_;
    std::atomic<bool> ended_{false};
    std::atomic<bool> failed_{false};

    std::mutex mutex_;  // guards what follows
    Tally tally_;
    std::exception_ptr error_;
};

}  // namespace

TrialResult run_trial(const TrialPlan& plan, const ScratchSchema& scratch, const EventType& type,
                      LeaderCpu& cpu, const std::atomic<bool>& stopping) {
    return Trial(plan, scratch, type, stopping).run(cpu);
}

}  // namespace homeward::consumer
