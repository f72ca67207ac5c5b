#include "publisher/shipper.hpp"

#include <algorithm>

#include "publisher/thread_body.hpp"
#include "schemas/subject.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;

/// How long an acknowledgement may take before the frame is sent again.
constexpr auto kAckTimeout = 5s;
constexpr auto kBackoffFirst = 100ms;
constexpr auto kBackoffMax = 5s;
constexpr auto kIdleWait = 50ms;
/// How long frames may wait without a connection, or without any answer, before a new one is tried.
constexpr auto kSilenceMax = 9s;
/// After a turn that threw, as for want of memory.
constexpr auto kAfterFault = 500ms;

}  // namespace

Shipper::Shipper(const PublisherOptions& options, Start start, std::function<void()> on_release)
    : options_(options), on_release_(std::move(on_release)), start_(start) {
    if (start == Start::at_once) connect();
    thread_ = std::thread([this] { run(); });
}

void Shipper::connect() {
    link_ = std::make_unique<NatsLink>(
        options_,
        [this](const PublishAnswer& answer) {
            const std::lock_guard lock(mutex_);
            answers_.push_back(answer);
            has_work_ = true;
            wakened_.notify_one();
        },
        [this](std::string_view line) {
            if (options_.on_log) options_.on_log(line);
            wake();
        });
    is_connected_ = link_->is_connected();
    heard_at_ = SteadyClock::now();
}

Shipper::~Shipper() {
    stop();
}

void Shipper::tell_to_stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wakened_.notify_one();
}

void Shipper::stop() {
    tell_to_stop();
    if (thread_.joinable()) thread_.join();
}

void Shipper::add(Origin* origin) {
    const std::lock_guard lock(origins_mutex_);
    origins_.push_back(origin);
}

void Shipper::remove(Origin* origin) {
    const std::lock_guard lock(origins_mutex_);
    std::erase(origins_, origin);
    std::erase_if(flights_, [&](const auto& entry) { return entry.second.origin == origin; });
    windows_.erase(origin);
}

void Shipper::wake() {
    const std::lock_guard lock(mutex_);
    has_work_ = true;
    wakened_.notify_one();
}

void Shipper::run() {
    const bool is_set_up =
        run_contained("shipper", "what is logged stays in the spool", options_.on_log, [this] {
            if (link_ == nullptr) connect();
        });
    if (!is_set_up) return;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            wakened_.wait_for(lock, kIdleWait, [this] { return has_work_ || stopping_; });
            if (stopping_) return;
            has_work_ = false;
        }
        const bool done =
            run_contained("shipper", "trying again", options_.on_log, [this] { this->turn(); });
        if (!done) std::this_thread::sleep_for(kAfterFault);
    }
}

void Shipper::turn() {
    const std::lock_guard lock(origins_mutex_);
    take_answers();
    replace_dead_link();
    is_connected_ = link_->is_connected();
    send_due();
    send_new();
}

/// The library gives some connections up, whatever it was told, if the first attempt failed in a
/// way that it does not expect; and it pings by a thread that a forked child does not have.
void Shipper::replace_dead_link() {
    const auto now = SteadyClock::now();
    if (link_->is_connected()) {
        const bool may_be_silent = start_ == Start::at_once || flights_.empty();
        if (may_be_silent) heard_at_ = now;
    }
    if (now - heard_at_ < kSilenceMax) return;
    heard_at_ = now;
    try {
        connect();
    } catch (const SetupError&) {
        // the one that there is stays, and so do the frames
    }
}

void Shipper::take_answers() {
    std::vector<PublishAnswer> answers;
    {
        const std::lock_guard lock(mutex_);
        answers.swap(answers_);
    }
    if (!answers.empty()) heard_at_ = SteadyClock::now();
    bool released = false;
    for (const PublishAnswer& answer : answers) {
        const auto found = flights_.find(answer.token);
        if (found == flights_.end()) continue;  // an earlier send of it was acknowledged already
        Flight& flight = found->second;
        if (!answer.stored) {
            log_refusal(answer.reason);
            flight.retry_at = SteadyClock::now() + backoff(flight.attempts);
            continue;
        }
        leave_window(flight);
        flight.origin->release(flight.departure);
        flights_.erase(found);
        released = true;
        last_refusal_.clear();
    }
    if (released) on_release_();
}

void Shipper::log_refusal(const std::string& reason) {
    if (reason == last_refusal_ || !options_.on_log) return;
    last_refusal_ = reason;
    options_.on_log("JetStream refuses frames, which wait in the log: " + reason);
}

Shipper::SteadyClock::duration Shipper::backoff(int attempts) {
    const auto base =
        std::min<SteadyClock::duration>(kBackoffFirst * (1 << std::min(attempts, 10)), kBackoffMax);
    // Half fixed, half random, so that publishers that failed together do not return together.
    const auto half = base.count() / 2;
    return SteadyClock::duration(half + static_cast<std::int64_t>(random_()) % (half + 1));
}

bool Shipper::has_room(const Origin& origin) const {
    const auto found = windows_.find(const_cast<Origin*>(&origin));
    return found == windows_.end() || (found->second.frames < options_.in_flight_max &&
                                       found->second.bytes < options_.in_flight_bytes_max);
}

bool Shipper::send(std::uint64_t token, Flight& flight) {
    const Origin& origin = *flight.origin;
    const RunIdentity& identity = origin.run().identity();
    const auto read = origin.read(flight.departure);
    if (!read) return false;  // no descriptor was free: again later
    const std::vector<std::byte>& bytes = *read;
    flight.retry_at = SteadyClock::now() + kAckTimeout + backoff(flight.attempts);
    ++flight.attempts;
    FrameHeader header;
    if (FrameDecoder::decode_header(bytes, header) != FrameError::none) {
        // The disk gave back other bytes than it took. Sending them would help nobody.
        if (options_.on_log) {
            options_.on_log("a logged frame is damaged; its events are reported as lost");
        }
        flight.lost = true;
        return true;
    }
    const bool is_mark = !flight.departure.mark.empty();
    std::string id = message_id(header.publisher, header.event_class, header.seq_first);
    // Marks repeat a seq, so they are told apart by their time.
    if (is_mark) id += "-mark-" + std::to_string(header.cut_time_us);
    return link_->publish(frame_subject(origin.event_class(), identity.region, identity.app), id,
                          bytes, token);
}

void Shipper::send_new() {
    for (Origin* origin : origins_) {
        Departure departure;
        while (link_->is_connected() && has_room(*origin) && origin->take_departure(departure)) {
            Window& window = windows_[origin];
            ++window.frames;
            window.bytes += departure.frame.bytes;
            const std::uint64_t token = token_next_++;
            Flight& flight = flights_[token];
            flight.origin = origin;
            flight.departure = std::move(departure);
            if (!send(token, flight)) flight.retry_at = SteadyClock::now() + backoff(0);
        }
    }
    give_up_lost();
}

void Shipper::give_up_lost() {
    std::erase_if(flights_, [this](const auto& entry) {
        const Flight& flight = entry.second;
        if (!flight.lost) return false;
        leave_window(flight);
        flight.origin->give_up(flight.departure);
        return true;
    });
}

void Shipper::leave_window(const Flight& flight) {
    Window& window = windows_[flight.origin];
    --window.frames;
    window.bytes -= flight.departure.frame.bytes;
}

void Shipper::send_due() {
    if (!link_->is_connected()) return;
    const auto now = SteadyClock::now();
    for (auto& [token, flight] : flights_) {
        if (flight.retry_at > now) continue;
        const auto index = static_cast<std::size_t>(flight.origin->event_class()) - 1;
        retries_[index].fetch_add(1, std::memory_order_relaxed);
        if (!send(token, flight)) {
            flight.retry_at = SteadyClock::now() + backoff(flight.attempts);
            return;  // the connection has just gone: the others would only wait for it in turn
        }
    }
}

}  // namespace homeward
