#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "consumer/base/config.hpp"
#include "consumer/nats/nats_connection.hpp"
#include "consumer/nats/stream.hpp"
#include "consumer/pull/batch_queue.hpp"
#include "consumer/pull/fetch_ahead.hpp"
#include "consumer/pull/frame_verifier.hpp"

namespace homeward::consumer {

/// Fetches messages of several streams ahead of the writers, and never more than they can commit
/// in time: what is fetched and not yet finished is bounded in count and bytes, and in count also
/// by what was lately committed within 15 s. Extends the ack deadlines of what waits here, with
/// in-progress acks (+WPI). These cannot extend the deadline of a message that is still on the
/// link, so a pull asks for no more than arrives well within `ack_wait`. Listens anew when pull
/// after pull ends without a word, as after a right to an inbox was taken and given back. Writers
/// take from it by any number of threads.
class Puller {
  public:
    /// `away`: names of streams that are asked for nothing until they are opened.
    Puller(NatsConnection& nats, std::vector<Stream> streams, const Config::Pull& limits,
           std::chrono::milliseconds ack_wait, const std::set<std::string>& away = {});
    ~Puller();

    /// Blocks until there is something; at least one message, however large. After stop() returns
    /// what is left, at last nothing.
    /// `read_bounds` is called again while it waits, as settings may change meanwhile.
    std::vector<PulledMessage> take(const std::function<BatchBounds()>& read_bounds);
    /// The messages are acknowledged or given up: there is room for others. `took`: since take().
    void finish(std::size_t messages, std::size_t bytes, std::chrono::steady_clock::duration took);
    void open(const std::string& stream);
    /// Somebody has changed a durable; the shortest of all.
    void set_ack_wait(std::chrono::milliseconds ack_wait);
    /// Asks for nothing more. What the streams were asked for before may still arrive, and is to be
    /// taken: their pulls run out within kPullExpires.
    void stop();

    std::size_t waiting() const;
    const std::vector<Stream>& streams() const { return streams_; }

  private:
    using SteadyClock = std::chrono::steady_clock;
    struct Pull {
        std::string inbox;
        std::size_t size;    ///< messages that it was asked for
        std::size_t wanted;  ///< of these, not yet here
        std::size_t bytes_left;
        SteadyClock::time_point asked;
        SteadyClock::time_point first{};  ///< when its first message came
        bool is_heard = false;            ///< anything has come of it
        bool is_of_backlog = false;       ///< the stream had all of it when the first was sent
    };
    struct Channel {
        const Stream* stream;
        std::string inbox;
        std::string inbox_before;  ///< of before it listened anew; may still be answered
        std::deque<Pull> pulls;
        bool is_open = true;
        std::size_t batch = 0;             ///< messages that it should be ahead by
        std::size_t pull_max;              ///< what arrives in time, as far as is known
        SteadyClock::time_point filled{};  ///< when a pull last had all that it was asked for
        double mean_bytes = 0;             ///< of its last messages
        int unheard = 0;                   ///< pulls in a row that ended without a word
        bool is_oversized = false;  ///< the next message does not fit into what a pull may bring
        SteadyClock::time_point complained{};
    };

    void run();
    void listen(std::size_t channel);
    /// Returns the inboxes that are listened to no more.
    std::vector<std::string> listen_anew_where_silent();
    void on_arrivals(std::size_t channel, std::vector<Arrival>& arrivals);
    void on_message(Channel& channel, Message message);
    void count_in_pull(Channel& channel, const Message& message, SteadyClock::time_point now);
    void fit_pulls_to_link(Channel& channel, const Pull& filled, SteadyClock::duration took) const;
    static std::size_t pull_messages_min(const Channel& channel);
    void enqueue(PulledMessage pulled);
    void on_status(Channel& channel, const Arrival& arrival);
    void complain(Channel& channel, const std::string& what);
    void ask(Channel& channel, std::size_t messages, std::size_t bytes);
    void ask_all(SteadyClock::time_point now);
    void drop_ended_pulls(SteadyClock::time_point now);
    void extend_deadlines(SteadyClock::time_point now);
    std::size_t pull_messages() const;
    static std::size_t fitting(const Channel& channel, std::size_t bytes);
    /// No more is asked for until something is finished: there is nothing to wait for.
    bool is_at_limit() const;
    static std::size_t expected(const Channel& channel, SteadyClock::time_point asked_after);
    std::size_t expected_bytes() const;

    NatsConnection& nats_;
    std::vector<Stream> streams_;
    Config::Pull limits_;

    mutable std::mutex mutex_;  // guards what follows
    std::chrono::milliseconds ack_wait_;
    FetchAhead ahead_;
    std::condition_variable arrived_;
    std::condition_variable room_;
    std::vector<Channel> channels_;
    BatchQueue queue_;
    BatchBounds taker_bounds_{};  // what the last who waited would be woken for
    std::size_t unfinished_ = 0;  // taken or queued
    std::size_t unfinished_bytes_ = 0;
    std::uint64_t pull_next_ = 1;
    std::uint64_t connects_seen_ = 0;
    SteadyClock::time_point spoken_{};
    bool stopping_ = false;
    std::size_t verifying_ = 0;  // fetched, and with verifier_
    bool is_dry_ = false;        // stopping, no pull is under way any more, and nothing is verified

    FrameVerifier verifier_;
    std::thread thread_;
};

}  // namespace homeward::consumer
