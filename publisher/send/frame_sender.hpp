#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/send/acked_frames.hpp"
#include "publisher/send/origin.hpp"
#include "publisher/send/reconnector.hpp"

namespace homeward {

/// Sends logged frames to JetStream and keeps account of every one until the stream has it. A frame
/// counts as stored only by a PubAck of its own stream, on the unguessable subject of its last
/// connection. Acknowledged frames are kept a while, and sent again when the server was restarted
/// or gives a sequence a second time; the ledger skips what it has. Has a thread of its own,
/// because the network may block and the sender must not. Origins are borrowed and must outlive
/// their remove().
class FrameSender {
  public:
    enum class Start : std::uint8_t {
        at_once,        ///< tries to connect before it returns; throws SetupError for bad options
        in_background,  ///< by its own thread
    };
    /// `on_release`: called by the frame sender's thread after frames were acknowledged.
    FrameSender(const PublisherOptions& options, Start start, std::function<void()> on_release);
    ~FrameSender();

    void add(Origin* origin);
    /// Forgets the origin: none of its frames is sent or expected any more.
    void remove(Origin* origin);
    /// There are new outgoing frames.
    void wake();
    /// Its thread ends as soon as it can.
    void tell_to_stop();
    /// Waits for that too; bounded by the link's deadlines for a write and for a connection.
    void stop();

    bool is_connected() const { return is_connected_.load(std::memory_order_relaxed); }
    std::uint64_t retries(EventClass event_class) const {
        return retries_[static_cast<std::size_t>(event_class) - 1].load();
    }

  private:
    using SteadyClock = std::chrono::steady_clock;
    struct PendingAck {
        Origin* origin = nullptr;
        OutgoingFrame outgoing;
        std::uint64_t nonce = 0;  ///< part of the subject on which its PubAck is expected
        int attempts = 0;
        int sends_of_id = 0;     ///< under its present message id
        std::uint64_t salt = 0;  ///< part of the message id once another took the plain one
        SteadyClock::time_point retry_at;
        bool lost = false;      ///< the log does not give it back
        bool is_again = false;  ///< acknowledged before, by a server that may have lost it
    };
    struct Window {
        std::size_t frames = 0;
        std::size_t bytes = 0;
    };

    void run();
    void turn();
    void log_from_link(std::string_view line);
    void begin_connection();
    void drop_silent_link();
    void take_answers();
    void take_answer(const PublishReply& answer);
    void refuse(PendingAck& pending, const std::string& reason);
    void settle(std::uint64_t number, PendingAck& pending, std::uint64_t stream_seq);
    void check_sequence(const PendingAck& pending, std::uint64_t stream_seq);
    void send_again(std::vector<AckedFrames::Frame> frames, const std::string& why);
    void send_new();
    void send_repeats();
    void send_due();
    void give_up_lost();
    void leave_window(const PendingAck& pending);
    bool has_room(const Origin& origin) const;
    bool send(std::uint64_t number, PendingAck& pending);
    PendingAck& add_pending(Origin* origin, OutgoingFrame outgoing, std::uint64_t& number);
    SteadyClock::duration backoff(int attempts);
    std::uint64_t draw_nonce();

    PublisherOptions options_;
    std::function<void()> on_release_;

    std::mutex mutex_;  // guards what follows
    std::condition_variable wakened_;
    std::vector<PublishReply> answers_;
    OutageLog complaints_;  // of the server, about what we do
    bool has_work_ = false;
    std::atomic<bool> stopping_{false};  // set under the mutex; read without it while sending

    std::mutex origins_mutex_;  // held while frames are handled, so that remove() may wait for it
    std::vector<Origin*> origins_;
    std::map<std::uint64_t, PendingAck> pending_;  // by number, in the order of their first sends
    std::map<Origin*, Window> windows_;
    AckedFrames acked_;
    std::deque<AckedFrames::Frame> repeats_;          // to be sent again when there is room
    std::map<std::string, std::uint64_t> last_seqs_;  // of PubAcks, by stream
    std::uint64_t number_next_ = 1;
    std::array<std::atomic<std::uint64_t>, 2> retries_{};
    std::minstd_rand random_{std::random_device{}()};
    OutageLog refusals_;

    std::atomic<bool> is_connected_{false};
    Start start_;
    SteadyClock::time_point heard_at_{};
    std::string server_id_;    // of the connection before
    Reconnector reconnector_;  // its callbacks use what stands above
    std::thread thread_;
};

}  // namespace homeward
