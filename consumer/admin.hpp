#pragma once

#include <functional>
#include <memory>
#include <string>

#include "consumer/metrics.hpp"
#include "consumer/status/status_page.hpp"

namespace homeward::consumer {

/// What /readyz says.
struct Readiness {
    bool is_ready;
    std::string text;  ///< why not; or what is not as it should be, although writes are possible
};

/// /, /status.json, /metrics, /livez and /readyz over HTTP; on loopback unless told otherwise.
class Admin {
  public:
    /// `listen`: "host:port". Throws std::runtime_error when the address cannot be had.
    Admin(const std::string& listen, const Metrics& metrics, StatusPage& status,
          std::function<Readiness()> readiness);
    ~Admin();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace homeward::consumer
