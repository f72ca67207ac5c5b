#include "tests/bench/compared/log_file.hpp"

#include <fcntl.h>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace homeward::bench {

class SpdlogFile::Impl {
  public:
    explicit Impl(const std::filesystem::path& file)
        : pool(std::make_shared<spdlog::details::thread_pool>(spdlog::details::default_async_q_size,
                                                              1)),
          logger(std::make_shared<spdlog::async_logger>(
              "audit", std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string()), pool)) {}

    std::shared_ptr<spdlog::details::thread_pool> pool;
    std::shared_ptr<spdlog::async_logger> logger;
};

SpdlogFile::SpdlogFile(const std::filesystem::path& file) : impl_(std::make_unique<Impl>(file)) {}
SpdlogFile::~SpdlogFile() = default;

void SpdlogFile::log(const events::Audit& event) {
    impl_->logger->info(
        R"({{"actor":"{}","action":"{}","resource":"{}","outcome":"{}","request_id":"{}","detail":{}}})",
        event.actor, event.action, event.resource, events::Audit::to_text(event.outcome),
        *event.request_id, event.detail->view());
}

WrittenFile::WrittenFile(const std::filesystem::path& file)
    : fd_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), file.string());
}
WrittenFile::~WrittenFile() {
    ::close(fd_);
}
bool WrittenFile::write(const std::string& line) {
    return ::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace homeward::bench
