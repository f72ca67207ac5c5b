#pragma once

#include <functional>
#include <memory>
#include <string>

#include "consumer/metrics.hpp"
#include "consumer/status/status_page.hpp"

namespace homeward::consumer {

/// /, /status.json, /metrics, /livez and /readyz over HTTP; on loopback unless told otherwise.
class Admin {
  public:
    /// `listen`: "host:port". Throws std::runtime_error when the address cannot be had.
    /// `not_ready`: empty when writes are possible, else the reason.
    Admin(const std::string& listen, const Metrics& metrics, StatusPage& status,
          std::function<std::string()> not_ready);
    ~Admin();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::consumer
