#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "publisher/tools/emit/command_line.hpp"
#include "publisher/tools/emit/statsd_receiver.hpp"
#include "publisher/tools/emit/udp_socket.hpp"

namespace homeward {

/// The StatsD sockets of a command and what they measure. One thread. It must end before the
/// publisher, and so is closed by finish().
class StatsdListener {
  public:
    /// Binds the sockets. Borrows the command. Throws SetupError.
    explicit StatsdListener(const EmitCommand& command);

    /// Makes the receivers, if there is a socket. `publisher` must live until finish().
    void open(Publisher& publisher, StatsdMetrics::Log log);
    const std::vector<std::unique_ptr<StatsdReceiver>>& receivers() const { return receivers_; }
    /// Hands what is left to the publisher, whose close() reports it, and says what was taken; ""
    /// without sockets.
    std::string finish();

  private:
    const EmitCommand& command_;
    std::vector<std::unique_ptr<ListenSocket>> unix_sockets_;
    std::vector<std::unique_ptr<UdpSocket>> udp_sockets_;
    std::unique_ptr<StatsdMetrics> metrics_;
    std::vector<std::unique_ptr<StatsdReceiver>> receivers_;
};

}  // namespace homeward
