#pragma once

#include <functional>
#include <string>

#include "consumer/base/config.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/service/http_server.hpp"
#include "consumer/status/status_page.hpp"

namespace homeward::consumer {

/// What /readyz says.
struct Readiness {
    bool is_ready;
    std::string text;  ///< why not; or what is not as it should be, although writes are possible
};

/// /, /status.json, /metrics, /runbook, /livez and /readyz over HTTP; on loopback unless told
/// otherwise. Borrows all it is given. `readiness` is called by the network's thread and must not
/// wait.
class Admin {
  public:
    /// Throws std::runtime_error when the address cannot be had.
    Admin(const Config::Admin& config, const Metrics& metrics, StatusPage& status,
          const std::function<Readiness()>& readiness);

  private:
    HttpServer server_;
};

}  // namespace homeward::consumer
