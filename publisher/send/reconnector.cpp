#include "publisher/send/reconnector.hpp"

#include <algorithm>

#include "schemas/nats/nats_probe.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;

constexpr auto kBackoffFirst = 100ms;
constexpr auto kBackoffMax = 2s;
/// A connection that lives so long ends a row of failures.
constexpr auto kStableAfter = 10s;
/// Servers of a cluster beyond this are not remembered.
constexpr std::size_t kUrlsMax = 64;

}  // namespace

Reconnector::Reconnector(const PublisherOptions& options, NatsLink::OnAnswer on_answer,
                         NatsLink::OnLog on_log)
    : options_(options),
      on_answer_(std::move(on_answer)),
      on_log_(std::move(on_log)),
      urls_(options.nats_urls) {}

void Reconnector::connect_first() {
    for (std::size_t i = 0; i < options_.nats_urls.size(); ++i) {
        try {
            if (try_server(urls_[next_url_++ % urls_.size()], false)) return;
        } catch (const ConnectError&) {
            // maintain() tries again at once, and says why it fails.
        }
    }
}

bool Reconnector::maintain() {
    if (link() != nullptr) return false;
    if (link_) lose_link();
    const auto now = SteadyClock::now();
    if (now < next_attempt_) return false;
    const std::string url = urls_[next_url_++ % urls_.size()];
    std::string cause;
    try {
        if (try_server(url, outage_.is_due(now))) return true;
        cause = "connection to NATS at " + printable_address(url) + " ended at once";
    } catch (const ConnectError& error) {
        cause = error.what();
    } catch (const SetupError& error) {
        cause = error.what();  // a file that is just being replaced
    }
    say(outage_.failed(cause + "; events wait in the log", SteadyClock::now()));
    next_attempt_ = SteadyClock::now() + backoff();
    return false;
}

bool Reconnector::try_server(std::string url, bool wants_cause) {
    link_ = std::make_unique<NatsLink>(options_, url, wants_cause, on_answer_, on_log_);
    if (link() == nullptr) return false;
    connected_at_ = SteadyClock::now();
    connected_url_ = url;
    server_id_ = link_->server_id();
    for (const std::string& other : link_->other_servers()) {
        const std::string known = with_address(url, other);
        const bool is_new = std::find(urls_.begin(), urls_.end(), known) == urls_.end();
        if (is_new && urls_.size() < kUrlsMax) urls_.push_back(known);
    }
    const std::string what = "connected to NATS at " + printable_address(url) + " again";
    const auto ended = outage_.ended(what, connected_at_);
    if (ended || was_lost_) say(ended.value_or(what));
    was_lost_ = false;
    return true;
}

void Reconnector::drop() {
    if (link_) lose_link();
}

void Reconnector::lose_link() {
    const auto now = SteadyClock::now();
    if (now - connected_at_ >= kStableAfter) attempts_ = 0;
    if (!connected_url_.empty() && !was_lost_) {
        say("connection to NATS lost: " + printable_address(connected_url_) +
            "; events wait in the log");
    }
    was_lost_ = true;
    link_.reset();
    next_attempt_ = now + backoff();
}

/// Half fixed, half random, so that publishers that were cut off together do not return together.
Reconnector::SteadyClock::duration Reconnector::backoff() {
    const auto base = std::min<SteadyClock::duration>(
        kBackoffFirst * (1 << std::min(attempts_, 10)), kBackoffMax);
    ++attempts_;
    const auto half = base.count() / 2;
    return SteadyClock::duration(half + static_cast<std::int64_t>(random_()) % (half + 1));
}

void Reconnector::say(const std::optional<std::string>& line) const {
    if (line) on_log_(*line);
}

}  // namespace homeward
