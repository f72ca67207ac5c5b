#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/tools/emit/listen_socket.hpp"
#include "publisher/tools/emit/statsd_metrics.hpp"

namespace homeward {

/// What the file of an event type says of its events.
struct KnownType {
    EventClass event_class = EventClass::audit;
    std::vector<std::string> required;  ///< fields
};

/// What homeward-emit was asked to do.
struct EmitCommand {
    PublisherOptions publisher;
    /// The types that ship and those in --types.
    std::map<std::string, KnownType, std::less<>> known_types;
    std::vector<std::string>
        metric_types;  ///< of those that are not known: the ones of class metric
    std::optional<EventClass> event_class;  ///< of all others; unset: audit
    std::string type;                   ///< of every line; empty: each line says its own as "type"
    std::string text_field;             ///< set: lines are plain text and go into this field
    std::chrono::seconds patience{30};  ///< for the last acknowledgement
    bool quiet = false;
    std::vector<ListenAddress> listen;  ///< empty: standard input
    unsigned socket_mode = 0660;
    StatsdOptions statsd;
};

/// Shows help or the mistake, and says with which code to exit, if there is nothing to do.
std::optional<int> parse_command_line(int argc, char** argv, EmitCommand& command);

}  // namespace homeward
