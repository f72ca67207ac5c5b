#include <homeward/publisher.hpp>

#include <string>
#include <thread>
#include <utility>

#include "publisher/api/checked_options.hpp"
#include "publisher/api/publisher_impl.hpp"
#include "publisher/platform/child_opener.hpp"
#include "publisher/platform/process_membarrier.hpp"
#include "publisher/send/frame_sender.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

/// Never given twice in a process, so that a thread's memory of a dead publisher cannot match.
std::uint64_t next_owner() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

std::optional<SigningKey> key_of(const PublisherOptions& options) {
    if (options.frame_version == 1) return std::nullopt;
    return SigningKey::generate();
}

RunIdentity identity_of(const PublisherOptions& options) {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = options.region;
    identity.app = options.app;
    identity.lane_dir = options.lane_dir;
    identity.synced = options.durability == Durability::disk;
    identity.spool_bytes_max = options.spool_bytes_max;
    return identity;
}

std::unique_ptr<Run> make_run(const PublisherOptions& options, bool is_synced_later) {
    if (!options.spool_dir.empty()) make_spool_directory(options.spool_dir);
    return Run::create(options.spool_dir, identity_of(options), key_of(options), is_synced_later);
}

PublisherOptions with_log(PublisherOptions options, const std::shared_ptr<AppLog>& log) {
    if (log->on_log()) options.on_log = [log](std::string_view line) { log->say(line); };
    return options;
}

const Run& counted(Run& run, const PublisherOptions& options) {
    run.count_lanes(options.lanes_max + 2);  // threads' and the shared ones
    return run;
}

}  // namespace

Publisher::Impl::Impl(const PublisherOptions& wanted, FrameSender::Start start, const Impl* parents)
    : log(std::make_shared<AppLog>(wanted.on_log)),
      options(with_log(wanted, log)),
      // For close(); now there are fewer threads than then.
      owner((prepare_process_membarrier(), next_owner())),
      fork_page(owner),
      clock(parents == nullptr ? detail::Clock() : detail::Clock(parents->clock)),
      run{make_run(options, parents != nullptr)},
      lanes(counted(*run.run, options), options.lane_bytes, options.lanes_max),
      metrics(options.spool_dir.empty() ? std::filesystem::path() : run.run->lanes_path()),
      is_run_unsynced(parents != nullptr),
      sender(options,
             {*run.run, clock, [this] { maintain(); }, [this] { return lanes.wants_lane(); }},
             start) {
    lanes.connect([this](std::uint64_t number, LaneMapping* lane) {
        sender.origin(lane->event_class()).add_lane(number, lane);
    });
    const std::filesystem::path& lane_dir = run.run->identity().lane_dir;
    if (lane_dir != options.lane_dir) {
        log->say(options.lane_dir.string() +
                 " is not a directory of this user alone; lanes are in " + lane_dir.string() +
                 ". Remove the one that is in the way");
    }
    run.is_open = true;
}

Stats Publisher::Impl::stats() const {
    Stats stats = sender.stats();
    refusals.add_to(stats.audit, EventClass::audit);
    refusals.add_to(stats.metric, EventClass::metric);
    return stats;
}

void Publisher::Impl::maintain() {
    if (std::exchange(is_run_unsynced, false)) run.run->sync_files();
    log->say_waiting();
    const std::string lanes_line = lanes.maintain();
    if (!lanes_line.empty()) log->say(lanes_line);
    const std::string metrics_line = metrics.maintain();
    if (!metrics_line.empty()) log->say(metrics_line);
    if (SteadyClock::now() < next_news) return;
    next_news = SteadyClock::now() + 1s;
    say_refusals();
}

void Publisher::Impl::say_refusals() {
    const std::string line = refusals.news(stats());
    if (!line.empty()) log->say(line);
}

Publisher::Publisher(PublisherOptions options)
    : impl_(new Impl(checked_options(std::move(options)), FrameSender::Start::at_once)) {
    owner_page_ = impl_.load()->fork_page.number();
    clock_ = &impl_.load()->clock;
}

Publisher::~Publisher() {
    close(2s);
    stop_opener();
    delete own_impl();  // a child's copy of its parent's is left alone
}

Publisher::Impl* Publisher::own_impl() const noexcept {
    Impl* impl = impl_.load(std::memory_order_acquire);
    const std::uint64_t now = owner();
    return now == impl->owner || now == detail::kClosedOwner ? impl : nullptr;
}

/// In a child. Empty: what is there is the child's own now; else why it could not be.
std::string Publisher::open_in_child(const Refusals& refused_before) noexcept {
    Impl* parents = impl_.load(std::memory_order_acquire);
    try {
        PublisherOptions options = parents->options;
        options.on_log = parents->log->on_log();
        const std::string moved = use_writable_lane_dir(options);
        // The parent's is never destroyed: its threads are not here to end, and its connection,
        // spool and locks are not ours. The server may be slow: connecting must not wait for it.
        auto* impl = new Impl(options, FrameSender::Start::in_background, parents);
        impl->refusals.add(refused_before);
        if (!moved.empty()) impl->log->say(moved);
        clock_.store(&impl->clock, std::memory_order_relaxed);
        owner_page_.store(impl->fork_page.number(), std::memory_order_relaxed);
        impl_.store(impl, std::memory_order_release);
        return "";
    } catch (const std::exception& error) {
        const std::string_view why = error.what();
        return std::string(why.empty() ? "unknown error" : why);
    }
}

Publisher::Impl* Publisher::begin_as_child() noexcept {
    // Of other threads with the one that begins, which takes milliseconds.
    constexpr auto kPatience = 1s;
    Impl* parents = impl_.load(std::memory_order_acquire);
    if (parents->closed.load(std::memory_order_acquire)) return nullptr;
    if (parents->fork_page.has_given_up()) return own_impl();
    if (!parents->fork_page.try_begin()) {
        const auto deadline = SteadyClock::now() + kPatience;
        while (own_impl() == nullptr && !parents->fork_page.has_given_up() &&
               SteadyClock::now() < deadline) {
            std::this_thread::yield();
        }
        return own_impl();
    }
    if (Impl* begun = own_impl()) return begun;  // by another thread, just before
    const AppLog::InsideEmit inside;
    parents->refusals.reset();  // they are the parent's
    const std::string why = open_in_child(parents->refusals);
    if (why.empty()) return own_impl();
    try {
        opener_.store(new ChildOpener([this, parents] { return open_in_child(parents->refusals); },
                                      parents->log->on_log(), why));
    } catch (const std::exception&) {
        // no thread to be had: the child has no publisher
    }
    parents->fork_page.give_up_begin();
    return nullptr;
}

MetricReports* Publisher::metric_reports() noexcept {
    Impl* impl = own_impl();
    if (impl == nullptr) impl = begin_as_child();
    return impl == nullptr || impl->closed.load(std::memory_order_acquire) ? nullptr
                                                                           : &impl->metrics;
}

/// In the child that has one; a copy that its own child has is left alone, for its thread is not
/// there.
void Publisher::stop_opener() noexcept {
    ChildOpener* opener = opener_.exchange(nullptr);
    if (opener != nullptr && opener->is_of_this_process()) delete opener;
}

FlushResult Publisher::flush(std::chrono::milliseconds deadline, FlushUntil until) noexcept {
    Impl* impl = own_impl();
    if (impl == nullptr) return {true, 0};  // a child that has emitted nothing
    const auto end = SteadyClock::now() + deadline;
    const bool is_reported = impl->metrics.report(end);
    FlushResult result = impl->sender.flush(end, until);
    result.done = result.done && is_reported;
    return result;
}

FlushResult Publisher::close(std::chrono::milliseconds deadline) noexcept {
    stop_opener();
    const auto until = SteadyClock::now() + deadline;
    const bool is_reported = report_metrics(until);
    const bool was_closed = impl_.load()->closed.exchange(true);
    Impl* impl = own_impl();
    if (impl == nullptr) return {true, 0};
    if (was_closed) {
        impl->say_refusals();
        return {true, 0};
    }
    impl->fork_page.close();  // or threads would go on filling the lanes that they remember
    process_membarrier();
    const bool is_quiet = impl->lanes.wait_until_unused(until);
    // What cells still hold is sent by the next start, and an end-of-stream frame must not come
    // first.
    const bool is_all = is_reported || impl->options.spool_dir.empty();
    FlushResult result = impl->sender.close(until, is_quiet && is_all);
    if (result.done) {
        impl->run.run->remove();
    } else if (impl->options.on_log) {
        impl->options.on_log(
            std::to_string(result.events_left) +
            (impl->options.spool_dir.empty()
                 ? " events were not acknowledged in time and are lost with the memory they are in"
                 : " events were not acknowledged in time; the next start sends them"));
    }
    impl->say_refusals();
    result.done = result.done && is_reported;
    return result;
}

/// For close(): while events are still accepted.
bool Publisher::report_metrics(std::chrono::steady_clock::time_point deadline) noexcept {
    Impl* impl = own_impl();
    if (impl == nullptr || impl->closed.load(std::memory_order_acquire)) return true;
    impl->metrics.close();
    if (impl->metrics.report(deadline)) return true;
    if (impl->options.on_log) {
        impl->options.on_log(
            impl->options.spool_dir.empty()
                ? "metrics: what was counted since the last report could not be reported in time "
                  "and is lost"
                : "metrics: what was counted since the last report could not be reported in time; "
                  "the next start reports it");
    }
    return false;
}

Stats Publisher::stats() const noexcept {
    const Impl* impl = own_impl();
    if (impl != nullptr) return impl->stats();
    Stats stats;
    const Impl* parents = impl_.load(std::memory_order_acquire);
    if (parents->fork_page.has_given_up()) {
        parents->refusals.add_to(stats.audit, EventClass::audit);
        parents->refusals.add_to(stats.metric, EventClass::metric);
    }
    return stats;
}

}  // namespace homeward
