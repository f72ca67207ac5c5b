#pragma once

#include <poll.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace homeward::testing {

/// TCP on 127.0.0.1 with the faults of a network: slow, in slices, stopped, swallowed, reset; or
/// cut at exact bytes, for what happens between one message and the next. Starts passing on as a
/// good network does. Any thread; has one of its own.
class TcpProxy {
  public:
    /// `port`: where it listens; 0: anywhere. Throws std::runtime_error if it cannot.
    explicit TcpProxy(int target_port, int port = 0);
    ~TcpProxy();
    TcpProxy(const TcpProxy&) = delete;
    TcpProxy& operator=(const TcpProxy&) = delete;

    /// Where to connect to.
    int port() const { return port_; }
    /// Of connections made from now on.
    void set_target(int port);

    /// Holds every byte so long, in each direction; the first ones of a new connection for a round
    /// trip more, as a handshake would.
    void delay(std::chrono::milliseconds time);
    /// Passes on at most so many bytes at a time, each as a packet of its own; 0: any number.
    void slice(std::size_t bytes);
    /// Nothing is read any more, as when a peer or the path to it stands still. New connections
    /// are made, and stand still as well.
    void stop();
    /// Everything is read and thrown away, as in a black hole; what a connection has lost it does
    /// not get back, so reset() them before resume().
    void drop();
    /// After stop(), drop() and Act::hold: passes on again.
    void resume();
    /// Resets (RST) every connection there is; returns when that has happened.
    void reset();
    /// While on, new connections are reset at once.
    void refuse(bool on);

    /// What to do at bytes that a client sends.
    enum class Act : std::uint8_t {
        pass,           ///< as ever
        cut,            ///< reset the connection; the server does not get them
        cut_behind,     ///< the server gets them, then the connection is reset at once
        cut_at_answer,  ///< the server gets them, and is cut off when it has answered
        hold,           ///< the server gets them, and after them nothing until resume()
    };
    /// Called with each piece as it arrives, from the proxy's thread; must not call the proxy.
    using Watch = std::function<Act(std::string_view sent)>;
    void watch(Watch watch);

    std::size_t links() const;         ///< connections there are
    std::uint64_t links_made() const;  ///< since the start
    std::uint64_t bytes_up() const;    ///< from clients, passed on
    std::uint64_t bytes_down() const;  ///< from the server, passed on

  private:
    using Clock = std::chrono::steady_clock;
    struct Piece {
        Clock::time_point due;
        std::string bytes;
    };
    /// One direction of a connection.
    struct Pipe {
        int from, to;
        std::deque<Piece> held{};
        std::size_t held_bytes = 0;
        bool has_ended = false;  // the sender has closed its side
        bool is_shut = false;    // and the receiver knows
    };
    struct Link {
        Pipe up, down;
        bool is_held = false;        // by Act::hold
        bool is_cut_behind = false;  // reset when all that is held has gone up
        bool is_cut_at_answer = false;
        bool is_over = false;  // both sides have closed theirs
        bool is_dead = false;  // one side is gone, or is to be
    };

    template <typename Change>
    void change(Change change);
    void run();
    void poll_once();
    void watch(const Link& link, const Pipe& pipe, std::vector<pollfd>& polls,
               Clock::time_point& next) const;
    void remove_links();
    void serve(Link& link, short up_events, short down_events);
    void accept_link();
    void read_up(Link& link);
    void read_down(Link& link);
    bool read_piece(Pipe& pipe, std::string& bytes);
    void hold(Pipe& pipe, std::string bytes);
    bool write_due(Pipe& pipe, std::uint64_t& passed);
    bool may_read(const Link& link, const Pipe& pipe) const;
    bool may_write(const Link& link, const Pipe& pipe) const;

    int listener_;
    int port_;
    int changed_;  // eventfd: the thread looks at once at what was set

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable reset_done_;
    int target_port_;
    std::chrono::milliseconds delay_{0};
    std::size_t slice_bytes_ = 0;
    bool is_stopped_ = false;
    bool is_dropping_ = false;
    bool is_refusing_ = false;
    bool is_resetting_ = false;
    bool is_ending_ = false;
    Watch watch_;
    std::list<Link> links_;
    std::uint64_t links_made_ = 0;
    std::uint64_t bytes_up_ = 0;
    std::uint64_t bytes_down_ = 0;

    std::thread thread_;
};

}  // namespace homeward::testing
