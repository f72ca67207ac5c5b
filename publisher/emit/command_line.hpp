#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/emit/listen_socket.hpp"

namespace homeward {

/// What homeward-emit was asked to do.
struct EmitCommand {
    PublisherOptions publisher;
    std::optional<EventClass> event_class;  ///< of every line; unset: by its type
    std::vector<std::string> metric_types;  ///< types of class metric; all others are audit
    std::string type;                   ///< of every line; empty: each line says its own as "type"
    std::string text_field;             ///< set: lines are plain text and go into this field
    std::chrono::seconds patience{30};  ///< for the last acknowledgement
    bool quiet = false;
    std::vector<ListenAddress> listen;  ///< empty: standard input
    unsigned socket_mode = 0660;
};

/// Shows help or the mistake, and says with which code to exit, if there is nothing to do.
std::optional<int> parse_command_line(int argc, char** argv, EmitCommand& command);

}  // namespace homeward
