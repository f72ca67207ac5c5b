#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include <homeward/publisher.hpp>

namespace homeward {

/// What the person at homeward-spool's command line asked for.
struct SpoolCommand {
    enum class Verb : std::uint8_t { inspect, drain };
    Verb verb = Verb::inspect;
    std::filesystem::path spool;
    bool json = false;                  ///< inspect
    PublisherOptions publisher;         ///< drain: how to reach NATS
    std::chrono::seconds patience{30};  ///< drain
};

/// Fills `command`; else returns the exit code, everything that a person should know said.
std::optional<int> parse_command_line(int argc, char** argv, SpoolCommand& command);

}  // namespace homeward
