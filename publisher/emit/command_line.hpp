#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <homeward/publisher.hpp>

namespace homeward {

/// What homeward-emit was asked to do.
struct EmitCommand {
    PublisherOptions publisher;
    EventClass event_class = EventClass::audit;
    std::string type;        ///< of every line; empty: each line says its own as "type"
    std::string text_field;  ///< set: lines are plain text and go into this field
    std::chrono::seconds patience{30};  ///< for the last acknowledgement
    bool quiet = false;
};

/// Shows help or the mistake, and says with which code to exit, if there is nothing to do.
std::optional<int> parse_command_line(int argc, char** argv, EmitCommand& command);

}  // namespace homeward
