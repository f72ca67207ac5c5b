#include "consumer/admin.hpp"

#include <httplib.h>

#include <cstdlib>
#include <thread>

#include "consumer/thread_body.hpp"

namespace homeward::consumer {

class Admin::Impl {
  public:
    Impl(const std::string& listen, const Metrics& metrics, StatusPage& status,
         std::function<Readiness()> readiness) {
        server_.new_task_queue = [] { return new httplib::ThreadPool(4); };
        // Whoever says nothing holds one of the threads only so long; there is nothing to upload.
        server_.set_read_timeout(1);
        server_.set_write_timeout(2);
        server_.set_keep_alive_timeout(1);
        server_.set_payload_max_length(1024);
        server_.Get("/metrics", [&metrics](const httplib::Request&, httplib::Response& response) {
            response.set_content(metrics.print(), "text/plain; version=0.0.4; charset=utf-8");
        });
        server_.Get(
            "/", [policy = status_policy()](const httplib::Request&, httplib::Response& response) {
                const std::string_view page = status_html();
                response.set_header("Content-Security-Policy", policy);
                response.set_header("X-Content-Type-Options", "nosniff");
                response.set_header("Referrer-Policy", "no-referrer");
                response.set_header("Cache-Control", "no-store");
                response.set_content(page.data(), page.size(), "text/html; charset=utf-8");
            });
        server_.Get("/status.json",
                    [&status](const httplib::Request& request, httplib::Response& response) {
                        const std::string since = request.get_param_value("since");
                        response.set_content(status.json(std::strtoull(since.c_str(), nullptr, 10)),
                                             "application/json");
                    });
        server_.Get("/livez", [](const httplib::Request&, httplib::Response& response) {
            response.set_content("ok\n", "text/plain");
        });
        server_.Get("/readyz", [readiness](const httplib::Request&, httplib::Response& response) {
            const Readiness now = readiness();
            response.status = now.is_ready ? 200 : 503;
            response.set_content(now.text + "\n", "text/plain");
        });
        const std::size_t colon = listen.rfind(':');
        std::string host = listen.substr(0, colon);
        if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
        const int port = colon == std::string::npos ? 0 : std::atoi(listen.c_str() + colon + 1);
        if (port <= 0 || port > 65535 || !server_.bind_to_port(host.c_str(), port)) {
            throw std::runtime_error("cannot listen on " + listen +
                                     " for the admin endpoint; is the port taken? Set "
                                     "admin.listen to a free host:port");
        }
        thread_ = start_thread("admin", [this] { server_.listen_after_bind(); });
    }
    ~Impl() {
        server_.stop();
        thread_.join();
    }

  private:
    httplib::Server server_;
    std::thread thread_;
};

Admin::Admin(const std::string& listen, const Metrics& metrics, StatusPage& status,
             std::function<Readiness()> readiness)
    : impl_(std::make_unique<Impl>(listen, metrics, status, std::move(readiness))) {}
Admin::~Admin() = default;

}  // namespace homeward::consumer
