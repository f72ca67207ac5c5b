#pragma once

#include <string>

namespace homeward::consumer {

/// For all of spdlog's default logger. "text", or "json": one object a line with time (UTC), level
/// and message. In both, one line for one message, whatever line breaks it has, and each command in
/// it as it must be typed here.
void set_log_format(const std::string& format, const std::string& command);

/// `text` with each "homeward-consumer <command>" as it must be typed here: see Config::command.
std::string runnable(const std::string& text, const std::string& command);

}  // namespace homeward::consumer
