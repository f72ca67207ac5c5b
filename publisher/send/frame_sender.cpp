#include "publisher/send/frame_sender.hpp"

#include <sys/random.h>

#include <algorithm>
#include <charconv>

#include "publisher/platform/thread_body.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;

/// How long an acknowledgement may take before the frame is sent again.
constexpr auto kAckTimeout = 5s;
constexpr auto kBackoffFirst = 100ms;
constexpr auto kBackoffMax = 5s;
constexpr auto kIdleWait = 50ms;
/// How long a connection may bring no answer to what was sent before it is replaced.
constexpr auto kSilenceMax = 9s;
/// After a turn that threw, as for want of memory.
constexpr auto kAfterFault = 500ms;

std::string hex(std::uint64_t number) {
    std::array<char, 16> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
    return {digits.data(), end};
}

/// The last token of the subject for a PubAck: "<number>-<nonce>".
std::string token_of(std::uint64_t number, std::uint64_t nonce) {
    return std::to_string(number) + "-" + hex(nonce);
}

/// False for what is no token of ours.
bool parse_token(std::string_view token, std::uint64_t& number, std::uint64_t& nonce) {
    const std::size_t dash = token.find('-');
    if (dash == std::string_view::npos) return false;
    const char* const end = token.data() + token.size();
    const auto first = std::from_chars(token.data(), token.data() + dash, number);
    const auto second = std::from_chars(token.data() + dash + 1, end, nonce, 16);
    return first.ec == std::errc{} && first.ptr == token.data() + dash &&
           second.ec == std::errc{} && second.ptr == end;
}

std::string stream_of(const Origin& origin) {
    return stream_name(stream_kind(origin.event_class()), origin.run().identity().region);
}

}  // namespace

FrameSender::FrameSender(const PublisherOptions& options, Start start,
                         std::function<void()> on_release)
    : options_(options),
      on_release_(std::move(on_release)),
      acked_({options.resend_age_max, options.resend_bytes_max}),
      start_(start),
      reconnector_(
          options_,
          [this](const PublishReply& answer) {
              const std::lock_guard lock(mutex_);
              answers_.push_back(answer);
              has_work_ = true;
              wakened_.notify_one();
          },
          [this](std::string_view line) { log_from_link(line); }) {
    if (start == Start::at_once) {
        reconnector_.connect_first();
        begin_connection();
    }
    thread_ = std::thread([this] { run(); });
}

/// By nats.c's threads, or by ours. A server repeats its complaints with each frame.
void FrameSender::log_from_link(std::string_view line) {
    bool is_said = false;
    {
        const std::lock_guard lock(mutex_);
        const bool is_complaint = line.rfind("NATS: ", 0) == 0;
        is_said = !line.empty() &&
                  (!is_complaint || complaints_.failed(std::string(line), SteadyClock::now()));
        has_work_ = true;
        wakened_.notify_one();
    }
    if (is_said && options_.on_log) options_.on_log(line);
}

FrameSender::~FrameSender() {
    stop();
}

void FrameSender::tell_to_stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wakened_.notify_one();
}

void FrameSender::stop() {
    tell_to_stop();
    if (thread_.joinable()) thread_.join();
}

void FrameSender::add(Origin* origin) {
    const std::lock_guard lock(origins_mutex_);
    origins_.push_back(origin);
}

void FrameSender::remove(Origin* origin) {
    const std::lock_guard lock(origins_mutex_);
    std::erase(origins_, origin);
    std::erase_if(pending_, [&](const auto& entry) { return entry.second.origin == origin; });
    std::erase_if(repeats_, [&](const auto& frame) { return frame.origin == origin; });
    acked_.remove(origin);
    windows_.erase(origin);
}

void FrameSender::wake() {
    const std::lock_guard lock(mutex_);
    has_work_ = true;
    wakened_.notify_one();
}

void FrameSender::run() {
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            wakened_.wait_for(lock, kIdleWait, [this] { return has_work_ || stopping_; });
            if (stopping_) return;
            has_work_ = false;
        }
        const bool done = run_contained("shipper", "trying again", options_.on_log, [this] {
            // Not under the lock: it may take seconds.
            if (reconnector_.maintain()) begin_connection();
            turn();
        });
        if (!done) std::this_thread::sleep_for(kAfterFault);
    }
}

void FrameSender::turn() {
    const std::lock_guard lock(origins_mutex_);
    take_answers();
    drop_silent_link();
    is_connected_ = reconnector_.link() != nullptr;
    send_due();
    send_repeats();
    send_new();
    acked_.release_old(SteadyClock::now());
    for (const Origin* origin : origins_) {
        if (origin->is_log_tight()) acked_.release_all(origin);
    }
}

void FrameSender::begin_connection() {
    const std::lock_guard lock(origins_mutex_);
    is_connected_ = reconnector_.link() != nullptr;
    if (!is_connected_) return;
    const auto now = SteadyClock::now();
    heard_at_ = now;
    // Their answers would come to the inbox of the connection before.
    for (auto& [number, pending] : pending_) pending.retry_at = now;
    const bool is_other = !server_id_.empty() && server_id_ != reconnector_.server_id();
    server_id_ = reconnector_.server_id();
    if (is_other) send_again(acked_.take_all(), "the NATS server is another, or was restarted");
}

/// The library pings by a thread that a forked child does not have.
void FrameSender::drop_silent_link() {
    const auto now = SteadyClock::now();
    if (start_ == Start::at_once || pending_.empty()) heard_at_ = now;
    if (now - heard_at_ < kSilenceMax) return;
    heard_at_ = now;
    reconnector_.drop();
}

void FrameSender::take_answers() {
    std::vector<PublishReply> answers;
    {
        const std::lock_guard lock(mutex_);
        answers.swap(answers_);
    }
    if (answers.empty()) return;
    heard_at_ = SteadyClock::now();
    for (const PublishReply& answer : answers) take_answer(answer);
    on_release_();
}

void FrameSender::take_answer(const PublishReply& answer) {
    std::uint64_t number = 0;
    std::uint64_t nonce = 0;
    if (!parse_token(answer.token, number, nonce)) return;
    const auto found = pending_.find(number);
    // An earlier send of it was acknowledged already, or somebody guesses.
    if (found == pending_.end() || found->second.nonce != nonce) return;
    PendingAck& pending = found->second;
    if (!answer.ack) return refuse(pending, answer.reason);
    const std::string wanted = stream_of(*pending.origin);
    if (answer.ack->stream != wanted) {
        return refuse(pending, "stream " + printable(answer.ack->stream) + " took a frame that " +
                                   wanted + " must have; run homeward-consumer check");
    }
    // What was sent once cannot be there already, unless another has published under its id.
    const bool may_be_there =
        pending.sends_of_id > 1 || pending.outgoing.is_recovered || pending.is_again;
    if (answer.ack->is_duplicate && !may_be_there) {
        pending.salt = draw_nonce();
        pending.sends_of_id = 0;
        return refuse(pending,
                      "the stream has another message under a frame's id; it is sent "
                      "under a new one");
    }
    settle(number, pending, answer.ack->is_duplicate ? 0 : answer.ack->seq);
}

void FrameSender::refuse(PendingAck& pending, const std::string& reason) {
    const auto now = SteadyClock::now();
    pending.retry_at = now + backoff(pending.attempts);
    const auto line =
        refusals_.failed("JetStream refuses frames, which wait in the log: " + reason, now);
    if (line && options_.on_log) options_.on_log(*line);
}

/// `stream_seq` 0: the stream had it already.
void FrameSender::settle(std::uint64_t number, PendingAck& pending, std::uint64_t stream_seq) {
    const auto now = SteadyClock::now();
    leave_window(pending);
    if (!pending.is_again) pending.origin->acknowledge(pending.outgoing);
    const auto line = refusals_.ended("JetStream takes frames again", now);
    if (line && options_.on_log) options_.on_log(*line);
    if (stream_seq != 0) check_sequence(pending, stream_seq);
    acked_.keep({pending.origin, std::move(pending.outgoing), stream_seq, now});
    pending_.erase(number);
}

/// A stream gives each sequence once. If it does not, it has lost what it had acknowledged.
void FrameSender::check_sequence(const PendingAck& pending, std::uint64_t stream_seq) {
    std::uint64_t& last = last_seqs_[stream_of(*pending.origin)];
    const bool has_risen = stream_seq > last;
    last = stream_seq;
    if (has_risen) return;
    send_again(acked_.take_from(pending.origin->event_class(), stream_seq),
               stream_of(*pending.origin) + " gave sequence " + std::to_string(stream_seq) +
                   " a second time");
}

void FrameSender::send_again(std::vector<AckedFrames::Frame> frames, const std::string& why) {
    if (frames.empty()) return;
    if (options_.on_log) {
        options_.on_log(why + ": " + std::to_string(frames.size()) +
                        " acknowledged frames are sent again");
    }
    std::move(frames.begin(), frames.end(), std::back_inserter(repeats_));
}

FrameSender::SteadyClock::duration FrameSender::backoff(int attempts) {
    const auto base =
        std::min<SteadyClock::duration>(kBackoffFirst * (1 << std::min(attempts, 10)), kBackoffMax);
    // Half fixed, half random, so that publishers that failed together do not return together.
    const auto half = base.count() / 2;
    return SteadyClock::duration(half + static_cast<std::int64_t>(random_()) % (half + 1));
}

/// Not to be guessed by another client of the server, so not from random_.
std::uint64_t FrameSender::draw_nonce() {
    std::uint64_t nonce = 0;
    if (::getrandom(&nonce, sizeof nonce, 0) != sizeof nonce) {
        throw std::runtime_error("getrandom() gives no random bytes");
    }
    return nonce;
}

bool FrameSender::has_room(const Origin& origin) const {
    const auto found = windows_.find(const_cast<Origin*>(&origin));
    return found == windows_.end() || (found->second.frames < options_.in_flight_max &&
                                       found->second.bytes < options_.in_flight_bytes_max);
}

bool FrameSender::send(std::uint64_t number, PendingAck& pending) {
    const Origin& origin = *pending.origin;
    const RunIdentity& identity = origin.run().identity();
    const auto read = origin.read(pending.outgoing);
    if (!read) return false;  // no descriptor was free: again later
    const std::vector<std::byte>& bytes = *read;
    pending.retry_at = SteadyClock::now() + kAckTimeout + backoff(pending.attempts);
    ++pending.attempts;
    ++pending.sends_of_id;
    FrameHeader header;
    if (FrameDecoder::decode_header(bytes, header) != FrameError::none) {
        // The disk gave back other bytes than it took. Sending them would help nobody.
        if (options_.on_log && !pending.is_again) {
            options_.on_log("a logged frame is damaged; its events are reported as lost");
        }
        pending.lost = true;
        return true;
    }
    std::string id = message_id(bytes);
    if (pending.salt != 0) id += "-" + hex(pending.salt);
    NatsLink* link = reconnector_.link();
    return link != nullptr &&
           link->publish(frame_subject(origin.event_class(), identity.region, identity.app), id,
                         bytes, token_of(number, pending.nonce));
}

FrameSender::PendingAck& FrameSender::add_pending(Origin* origin, OutgoingFrame outgoing,
                                                  std::uint64_t& number) {
    Window& window = windows_[origin];
    ++window.frames;
    window.bytes += outgoing.frame.bytes;
    number = number_next_++;
    PendingAck& pending = pending_[number];
    pending.origin = origin;
    pending.outgoing = std::move(outgoing);
    pending.nonce = draw_nonce();
    return pending;
}

void FrameSender::send_new() {
    for (Origin* origin : origins_) {
        OutgoingFrame outgoing;
        while (!stopping_ && reconnector_.link() != nullptr && has_room(*origin) &&
               origin->take_outgoing(outgoing)) {
            std::uint64_t number = 0;
            PendingAck& pending = add_pending(origin, std::move(outgoing), number);
            if (!send(number, pending)) pending.retry_at = SteadyClock::now() + backoff(0);
        }
    }
    give_up_lost();
}

/// Before new ones: their log is waiting for room.
void FrameSender::send_repeats() {
    while (!stopping_ && !repeats_.empty() && reconnector_.link() != nullptr &&
           has_room(*repeats_.front().origin)) {
        std::uint64_t number = 0;
        PendingAck& pending =
            add_pending(repeats_.front().origin, std::move(repeats_.front().outgoing), number);
        repeats_.pop_front();
        pending.is_again = true;
        retries_[static_cast<std::size_t>(pending.origin->event_class()) - 1].fetch_add(
            1, std::memory_order_relaxed);
        if (!send(number, pending)) pending.retry_at = SteadyClock::now() + backoff(0);
    }
}

void FrameSender::give_up_lost() {
    std::erase_if(pending_, [this](const auto& entry) {
        const PendingAck& pending = entry.second;
        if (!pending.lost) return false;
        leave_window(pending);
        if (pending.is_again) {
            pending.origin->forget(pending.outgoing);
        } else {
            pending.origin->give_up(pending.outgoing);
        }
        return true;
    });
}

void FrameSender::leave_window(const PendingAck& pending) {
    Window& window = windows_[pending.origin];
    --window.frames;
    window.bytes -= pending.outgoing.frame.bytes;
}

void FrameSender::send_due() {
    if (reconnector_.link() == nullptr) return;
    const auto now = SteadyClock::now();
    for (auto& [number, pending] : pending_) {
        if (stopping_) return;
        if (pending.retry_at > now) continue;
        const auto index = static_cast<std::size_t>(pending.origin->event_class()) - 1;
        retries_[index].fetch_add(1, std::memory_order_relaxed);
        if (!send(number, pending)) {
            pending.retry_at = SteadyClock::now() + backoff(pending.attempts);
            return;  // the connection has just gone: the others would only wait for it in turn
        }
    }
}

}  // namespace homeward
