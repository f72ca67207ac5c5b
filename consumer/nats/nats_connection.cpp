#include "consumer/nats/nats_connection.hpp"

#include <nats/nats.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "consumer/base/thread_body.hpp"
#include "consumer/nats/nats_link.hpp"
#include "schemas/nats/jetstream_reply.hpp"
#include "schemas/nats/nats_probe.hpp"
#include "schemas/nats/outage_log.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kBackoffFirst = 250ms;
constexpr auto kBackoffMax = 2s;
/// How soon a lost connection is noticed should nobody tell of it.
constexpr auto kLookInterval = 500ms;
/// Servers of a cluster beyond this are not remembered.
constexpr std::size_t kUrlsMax = 64;
/// How long a reader of an inbox waits before it looks whether it is still wanted. It is woken
/// when it is not; this is only the bound.
constexpr std::int64_t kListenMs = 1'000;
/// What is handed on at once, at most.
constexpr std::size_t kArrivalsMax = 512;
/// After so many at once, more are on their way, and the reader lets them come together: to be
/// woken for each of them costs more than the message.
constexpr std::size_t kArrivalsMany = 16;
constexpr auto kGather = std::chrono::microseconds(500);

using SubscriptionPtr = std::shared_ptr<natsSubscription>;
using MsgPtr = std::unique_ptr<natsMsg, NatsDestroyer<natsMsg, natsMsg_Destroy>>;

/// The name says who may send to it, and can be guessed by nobody else: the library's own inboxes
/// are numbered, and a leaf sees those of its own domain.
std::string fresh_inbox(const std::string& domain) {
    std::random_device random;
    std::string name = consumer_inbox_prefix(domain);
    for (int i = 0; i < 4; ++i) {
        std::array<char, 9> word;
        std::snprintf(word.data(), word.size(), "%08x", random());
        name += word.data();
    }
    return name;
}

SubscriptionPtr subscribe_on(const NatsLink& link, const std::string& subject) {
    natsSubscription* made = nullptr;
    const natsStatus status = natsConnection_SubscribeSync(&made, link.handle(), subject.c_str());
    if (status != NATS_OK) {
        throw NatsError(std::string("cannot subscribe to an inbox: ") + natsStatus_GetText(status));
    }
    SubscriptionPtr subscription(made, &natsSubscription_Destroy);
    // The pulls bound what can arrive.
    natsSubscription_SetPendingLimits(made, -1, -1);
    return subscription;
}

std::string header_of(natsMsg* message, const char* name) {
    const char* value = nullptr;
    if (natsMsgHeader_Get(message, name, &value) != NATS_OK || value == nullptr) return "";
    return value;
}

Arrival arrival_of(natsMsg* handle) {
    std::unique_ptr<void, void (*)(void*)> owner(
        handle, [](void* message) { natsMsg_Destroy(static_cast<natsMsg*>(message)); });
    Arrival arrival;
    const char* reply = natsMsg_GetReply(handle);
    const std::string_view data(natsMsg_GetData(handle),
                                static_cast<std::size_t>(natsMsg_GetDataLength(handle)));
    Delivery delivery;
    if (reply != nullptr && parse_ack_subject(reply, delivery)) {
        arrival.message = Message{std::move(owner), natsMsg_GetSubject(handle), reply,
                                  std::as_bytes(std::span<const char>(data)), delivery};
    } else {
        PullStatus status =
            parse_pull_status(header_of(handle, "Status"), header_of(handle, "Description"));
        arrival.status = status.code;
        arrival.description = std::move(status.description);
        arrival.inbox = natsMsg_GetSubject(handle);
    }
    return arrival;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> read_headers(const Message& message) {
    std::vector<std::pair<std::string, std::string>> headers;
    if (message.owner == nullptr) return headers;
    auto* handle = static_cast<natsMsg*>(message.owner.get());
    const char** names = nullptr;
    int name_count = 0;
    if (natsMsgHeader_Keys(handle, &names, &name_count) != NATS_OK) return headers;
    const std::unique_ptr<const char*, void (*)(void*)> names_owner(names, &std::free);
    for (int i = 0; i < name_count; ++i) {
        const char** values = nullptr;
        int value_count = 0;
        if (natsMsgHeader_Values(handle, names[i], &values, &value_count) != NATS_OK) continue;
        const std::unique_ptr<const char*, void (*)(void*)> values_owner(values, &std::free);
        for (int k = 0; k < value_count; ++k) headers.emplace_back(names[i], values[k]);
    }
    std::stable_sort(headers.begin(), headers.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    return headers;
}

/// Holds the present link; a thread of its own replaces it when it is lost, and takes the inboxes
/// along. Each inbox is read by a thread of ours: the library's own would hand over, and be woken
/// for, each message alone.
class NatsConnection::Impl {
  public:
    Impl(const Config::Nats& config, std::chrono::milliseconds patience, OnLog on_log)
        : config_(config), on_log_(std::move(on_log)), urls_(config.urls) {
        const auto deadline = SteadyClock::now() + patience;
        while (link_ == nullptr) {
            try {
                link_ = make_link(true);
            } catch (const NatsSetupError&) {
                throw;  // whoever starts us should know
            } catch (const NatsError&) {
                if (SteadyClock::now() >= deadline) throw;
                std::this_thread::sleep_for(kBackoffFirst);
            }
        }
        connects_ = 1;
        keeper_ = start_thread("nats link", [this] { keep_link(); });
    }

    ~Impl() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        keeper_.join();
        while (!subscriptions_.empty()) unsubscribe(subscriptions_.back()->inbox);
    }

    std::shared_ptr<NatsLink> link() const {
        const std::lock_guard lock(mutex_);
        return link_;
    }
    std::uint64_t connects() const { return connects_; }

    std::string subscribe(const std::string& domain, OnArrivals on_arrivals) {
        auto made = std::make_unique<Subscription>();
        made->inbox = fresh_inbox(domain) + ".";
        made->on_arrivals = std::move(on_arrivals);
        Subscription& subscription = *made;
        const std::lock_guard lock(mutex_);
        try {
            attach(subscription, *link_);
        } catch (const NatsError&) {
            // The connection is just being lost; the next one takes it along.
        }
        subscriptions_.push_back(std::move(made));
        subscription.reader = start_thread("nats reader", [this, &subscription] {
            while (read(subscription)) {
            }
        });
        return subscription.inbox;
    }

    void unsubscribe(const std::string& inbox) {
        std::unique_ptr<Subscription> ending;
        {
            const std::lock_guard lock(mutex_);
            const auto found = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                                            [&](const auto& one) { return one->inbox == inbox; });
            if (found == subscriptions_.end()) return;
            ending = std::move(*found);
            subscriptions_.erase(found);
            ending->is_over = true;
            if (ending->handle) natsSubscription_Unsubscribe(ending->handle.get());
        }
        changed_.notify_all();
        ending->reader.join();
    }

    /// Not the library's own request, whose inbox is one for all domains.
    std::optional<std::string> request(const std::string& domain, const std::string& subject,
                                       const std::string& body,
                                       std::chrono::milliseconds patience) {
        const auto link = this->link();
        if (!link->is_connected()) return std::nullopt;
        const std::string inbox = fresh_inbox(domain);
        const SubscriptionPtr subscription = subscribe_on(*link, inbox);
        natsMsg* answer = nullptr;
        const bool answered =
            natsConnection_PublishRequest(link->handle(), subject.c_str(), inbox.c_str(),
                                          body.data(), static_cast<int>(body.size())) == NATS_OK &&
            natsSubscription_NextMsg(&answer, subscription.get(), patience.count()) == NATS_OK;
        if (!answered) return std::nullopt;
        const MsgPtr owned(answer);
        if (natsMsg_IsNoResponders(answer)) return std::nullopt;
        return std::string(natsMsg_GetData(answer),
                           static_cast<std::size_t>(natsMsg_GetDataLength(answer)));
    }

  private:
    struct Subscription {
        std::string inbox;
        OnArrivals on_arrivals;
        std::thread reader;
        SubscriptionPtr handle;  // guarded by mutex_; on the present link, or none
        bool is_over = false;    // guarded by mutex_
    };

    /// Tries the next server. Throws NatsError.
    std::shared_ptr<NatsLink> make_link(bool wants_cause) {
        const std::string url = urls_[next_url_++ % urls_.size()];
        auto link = std::make_shared<NatsLink>(
            config_, url, wants_cause, [this] { changed_.notify_all(); },
            [this](std::string_view line) { complain(line); });
        for (const std::string& other : link->other_servers()) {
            const std::string known = with_address(url, other);
            const bool is_new = std::find(urls_.begin(), urls_.end(), known) == urls_.end();
            if (is_new && urls_.size() < kUrlsMax) urls_.push_back(known);
        }
        return link;
    }

    /// A server repeats its complaints.
    void complain(std::string_view line) {
        bool is_said = false;
        {
            const std::lock_guard lock(complaints_mutex_);
            is_said = complaints_.failed(std::string(line), SteadyClock::now()).has_value();
        }
        if (is_said) on_log_(line);
    }

    /// For ever, whatever closed it.
    void keep_link() {
        while (wait_for_loss()) {
            on_log_("connection to NATS lost");
            std::chrono::milliseconds backoff = kBackoffFirst;
            while (!run_turn_to_replace()) {
                std::unique_lock lock(mutex_);
                const auto rest = backoff / 2 + random_() % (backoff.count() / 2) * 1ms;
                if (changed_.wait_for(lock, rest, [this] { return stopping_; })) return;
                backoff = std::min<std::chrono::milliseconds>(backoff * 2, kBackoffMax);
            }
        }
    }

    /// False when it is time to stop.
    bool wait_for_loss() {
        std::unique_lock lock(mutex_);
        for (;;) {
            if (stopping_) return false;
            if (!link_->is_connected()) return true;
            changed_.wait_for(lock, kLookInterval);
        }
    }

    bool run_turn_to_replace() {
        bool done = false;
        run_turn("nats link", [&] { done = replace_link(); });
        return done;
    }

    bool replace_link() {
        std::shared_ptr<NatsLink> fresh;
        try {
            fresh = make_link(outage_.is_due(SteadyClock::now()));
            const std::lock_guard lock(mutex_);
            for (const auto& subscription : subscriptions_) attach(*subscription, *fresh);
            link_.swap(fresh);  // the old one ends without the lock
            ++connects_;
        } catch (const NatsError& error) {
            if (const auto line = outage_.failed(error.what(), SteadyClock::now())) on_log_(*line);
            return false;
        }
        changed_.notify_all();
        const std::string what = "connected to NATS again";
        on_log_(outage_.ended(what, SteadyClock::now()).value_or(what));
        return true;
    }

    /// mutex_ is held.
    static void attach(Subscription& subscription, const NatsLink& link) {
        subscription.handle = subscribe_on(link, subscription.inbox + "*");
    }

    /// Hands on what has come; false when the subscription is over.
    bool read(Subscription& subscription) {
        SubscriptionPtr handle;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return subscription.is_over || subscription.handle; });
            if (subscription.is_over) return false;
            handle = subscription.handle;
        }
        std::vector<Arrival> arrivals;
        if (!take(arrivals, handle.get(), kListenMs)) {
            const std::lock_guard lock(mutex_);
            const bool is_lost = !natsSubscription_IsValid(handle.get());
            if (is_lost && subscription.handle == handle) subscription.handle.reset();
            return !subscription.is_over;
        }
        while (arrivals.size() < kArrivalsMax && take(arrivals, handle.get(), 0)) {
        }
        const bool are_many = arrivals.size() >= kArrivalsMany;
        run_turn("nats reader", [&] { subscription.on_arrivals(arrivals); });
        if (are_many) std::this_thread::sleep_for(kGather);
        return true;
    }

    static bool take(std::vector<Arrival>& arrivals, natsSubscription* handle,
                     std::int64_t patience_ms) {
        natsMsg* message = nullptr;
        if (natsSubscription_NextMsg(&message, handle, patience_ms) != NATS_OK) return false;
        arrivals.push_back(arrival_of(message));
        return true;
    }

    const Config::Nats config_;
    OnLog on_log_;
    std::atomic<std::uint64_t> connects_{0};
    std::mutex complaints_mutex_;
    OutageLog complaints_;  // of servers, about what we do

    // The keeper's own, once it runs.
    std::vector<std::string> urls_;
    std::size_t next_url_ = 0;
    OutageLog outage_;
    std::minstd_rand random_{std::random_device{}()};

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::shared_ptr<NatsLink> link_;
    std::vector<std::unique_ptr<Subscription>> subscriptions_;
    bool stopping_ = false;
    std::thread keeper_;
};

NatsConnection::NatsConnection(const Config::Nats& config, std::chrono::milliseconds patience,
                               OnLog on_log)
    : impl_(std::make_unique<Impl>(config, patience, std::move(on_log))) {}
NatsConnection::~NatsConnection() = default;

bool NatsConnection::is_connected() const {
    return impl_->link()->is_connected();
}
std::uint64_t NatsConnection::connects() const {
    return impl_->connects();
}

std::optional<std::string> NatsConnection::request(const std::string& domain,
                                                   const std::string& subject,
                                                   const std::string& body,
                                                   std::chrono::milliseconds patience) {
    return impl_->request(domain, subject, body, patience);
}

bool NatsConnection::publish(const std::string& subject, std::string_view body) {
    return natsConnection_Publish(impl_->link()->handle(), subject.c_str(), body.data(),
                                  static_cast<int>(body.size())) == NATS_OK;
}
void NatsConnection::publish_all(const std::vector<std::string>& subjects, std::string_view body) {
    const auto link = impl_->link();
    for (const std::string& subject : subjects) {
        natsConnection_Publish(link->handle(), subject.c_str(), body.data(),
                               static_cast<int>(body.size()));
    }
}
bool NatsConnection::publish(const std::string& subject, const std::string& reply,
                             std::string_view body) {
    return natsConnection_PublishRequest(impl_->link()->handle(), subject.c_str(), reply.c_str(),
                                         body.data(), static_cast<int>(body.size())) == NATS_OK;
}

std::string NatsConnection::subscribe(const std::string& domain, OnArrivals on_arrivals) {
    return impl_->subscribe(domain, std::move(on_arrivals));
}
void NatsConnection::unsubscribe(const std::string& inbox) {
    impl_->unsubscribe(inbox);
}

}  // namespace homeward::consumer
