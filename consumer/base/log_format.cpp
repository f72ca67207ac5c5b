#include "consumer/base/log_format.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <regex>

namespace homeward::consumer {
namespace {

std::string text_of(const spdlog::details::log_msg& message, const std::string& command) {
    return runnable({message.payload.data(), message.payload.size()}, command);
}

/// libpq's messages have several lines.
class OneLine : public spdlog::custom_flag_formatter {
  public:
    explicit OneLine(std::string command) : command_(std::move(command)) {}
    void format(const spdlog::details::log_msg& message, const std::tm&,
                spdlog::memory_buf_t& out) override {
        static const std::regex kBreaks("[\\r\\n]+[ \\t]*");
        std::string text = std::regex_replace(text_of(message, command_), kBreaks, " ");
        while (!text.empty() && text.back() == ' ') text.pop_back();
        out.append(text.data(), text.data() + text.size());
    }
    std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<OneLine>(command_);
    }

  private:
    const std::string command_;
};

class JsonText : public spdlog::custom_flag_formatter {
  public:
    explicit JsonText(std::string command) : command_(std::move(command)) {}
    void format(const spdlog::details::log_msg& message, const std::tm&,
                spdlog::memory_buf_t& out) override {
        const std::string text =
            nlohmann::json(text_of(message, command_))
                .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        out.append(text.data(), text.data() + text.size());
    }
    std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<JsonText>(command_);
    }

  private:
    const std::string command_;
};

}  // namespace

void set_log_format(const std::string& format, const std::string& command) {
    const bool is_json = format == "json";
    auto formatter = std::make_unique<spdlog::pattern_formatter>(
        is_json ? spdlog::pattern_time_type::utc : spdlog::pattern_time_type::local);
    if (is_json) {
        formatter->add_flag<JsonText>('*', command)
            .set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})");
    } else {
        formatter->add_flag<OneLine>('*', command)
            .set_pattern("[%Y-%m-%d %H:%M:%S.%e] [%^%l%$] %*");
    }
    spdlog::set_formatter(std::move(formatter));
}

std::string runnable(const std::string& text, const std::string& command) {
    // Most lines have none, and a regex is dear.
    if (text.find("homeward-consumer ") == std::string::npos) return text;
    // Not behind a slash: what runs as it stands is left alone.
    static const std::regex kCommand(
        "(^|[^/])homeward-consumer (?=(run|check|streams|schema|leader|proof|dead-letters|"
        "conflicts|erase|replay|backfill|tune)\\b)");
    // The file's name may have a dollar sign, which means something to regex_replace().
    static const std::regex kDollar("\\$");
    return std::regex_replace(text, kCommand,
                              "$1" + std::regex_replace(command, kDollar, "$$$$") + " ");
}

}  // namespace homeward::consumer
