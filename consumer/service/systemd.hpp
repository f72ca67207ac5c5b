#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace homeward::consumer {

/// What systemd wants to hear of a service (sd_notify(3)): one datagram each, to the socket that
/// NOTIFY_SOCKET names. Without one, nothing is sent and nothing fails. Any thread.
class Systemd {
  public:
    Systemd();
    ~Systemd();
    Systemd(const Systemd&) = delete;
    Systemd& operator=(const Systemd&) = delete;

    void ready() const { tell("READY=1"); }
    void reloading() const;
    void stopping() const { tell("STOPPING=1"); }
    void alive() const { tell("WATCHDOG=1"); }

    /// How often alive() has to be said: half of what WATCHDOG_USEC grants; nullopt: never.
    std::optional<std::chrono::milliseconds> alive_interval() const { return alive_interval_; }

  private:
    void tell(const std::string& state) const;

    int socket_ = -1;
    std::string address_;  // '\0' in front for an abstract one
    std::optional<std::chrono::milliseconds> alive_interval_;
};

}  // namespace homeward::consumer
