#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/tools/emit/command_line.hpp"
#include "publisher/tools/emit/listen_socket.hpp"
#include "publisher/tools/emit/socket_client.hpp"
#include "publisher/tools/emit/statsd_receiver.hpp"

namespace homeward {

/// Takes events from everybody who may write to the sockets, in one thread that never waits for
/// any of them. Borrows all that it is given.
class SocketServer {
  public:
    using Sockets = std::vector<std::unique_ptr<ListenSocket>>;
    using Log = std::function<void(std::string_view line)>;

    /// `log` is told the first refusal of each reason among datagrams. Throws SetupError.
    SocketServer(const EmitCommand& command, const Sockets& sockets, Publisher& publisher, Log log);
    ~SocketServer();
    SocketServer(const SocketServer&) = delete;
    SocketServer& operator=(const SocketServer&) = delete;

    /// Serves this one, too. Before run().
    void serve(StatsdReceiver& receiver);
    /// Until `stop` can be read; then takes what clients have sent by now, and ends.
    void run(int stop);

    const LineTally& tally() const { return tally_; }

  private:
    Refusal emit(std::string_view line, bool is_too_long, LineTally& tally);
    void handle(int descriptor, std::uint32_t events);
    void accept_all(ListenSocket& socket);
    /// False when there is nothing left.
    bool receive_some(ListenSocket& socket);
    void receive(const ListenSocket& socket, std::string_view datagram, bool is_cut);
    void serve(int descriptor, std::uint32_t events);
    void end(int descriptor);
    void watch(int descriptor, std::uint32_t events, int operation);
    void listen_again();
    void drain();

    const EmitCommand& command_;
    const Sockets& sockets_;
    Publisher& publisher_;
    const Log log_;
    int epoll_;
    bool is_crowded_ = false;  // stream sockets are not watched until a client has gone, or
    std::chrono::steady_clock::time_point listen_due_{};
    std::vector<StatsdReceiver*> receivers_;
    std::map<int, std::unique_ptr<SocketClient>> clients_;
    std::vector<char> datagram_;
    std::set<std::string_view> logged_;  // reasons of refusals among datagrams
    LineTally tally_;
};

}  // namespace homeward
