#include "consumer/status/health_log.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "consumer/base/thread_body.hpp"

namespace homeward::consumer {
namespace {

constexpr std::chrono::seconds kInterval{2};

}  // namespace

std::vector<HealthChanges::Line> HealthChanges::observe(const std::vector<Reason>& reasons,
                                                        Clock::time_point now) {
    std::vector<Line> lines;
    std::map<std::string, Clock::time_point> lasting;
    for (const Reason& reason : reasons) {
        if (reason.has_own_log_line) continue;
        const auto known = lasting_.find(reason.title);
        lasting[reason.title] = known == lasting_.end() ? now : known->second;
        if (known != lasting_.end()) continue;
        std::string text = reason.title + ": " + reason.text;
        for (const std::string& part : {reason.remedy, reason.command}) {
            if (!part.empty()) text += " " + part;
        }
        lines.push_back({true, std::move(text)});
    }
    for (const auto& [title, since] : lasting_) {
        if (lasting.count(title) == 1) continue;
        const auto time = std::chrono::duration_cast<std::chrono::seconds>(now - since).count();
        lines.push_back({false, "over after " + std::to_string(time) + " s: " + title});
    }
    lasting_ = std::move(lasting);
    return lines;
}

HealthLog::HealthLog(std::function<std::vector<Reason>()> look)
    : look_(std::move(look)), thread_(start_thread("health log", [this] { run(); })) {}

HealthLog::~HealthLog() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_all();
    thread_.join();
}

void HealthLog::run() {
    std::unique_lock lock(mutex_);
    while (!stop_.wait_for(lock, kInterval, [this] { return stopping_; })) {
        lock.unlock();
        run_turn("health log", [this] {
            for (const auto& line : changes_.observe(look_(), HealthChanges::Clock::now())) {
                if (line.is_start) {
                    spdlog::warn("{}", line.text);
                } else {
                    spdlog::info("{}", line.text);
                }
            }
        });
        lock.lock();
    }
}

}  // namespace homeward::consumer
