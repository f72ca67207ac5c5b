#pragma once

// Whom a ReplicaPoller asks. Ready-made ones are in libpq.hpp and libpqxx.hpp.

#include <optional>

#include <homeward/replay/position.hpp>

namespace homeward::replay {

/// A connection of its own to the replica that the app reads from. Used by one thread.
class PositionSource {
  public:
    virtual ~PositionSource() = default;

    /// Connects when it has no connection. Nothing when the replica does not answer; it must give
    /// up by itself within a second or two, and must not throw.
    virtual std::optional<ReplicaPosition> ask() = 0;

    /// The socket of its connection, which is readable once the server has hung up: a replica that
    /// was restarted may for a moment be behind what it said before. -1 when there is none; a
    /// position is then asked for anew when it is older than PollOptions::age_max_ms.
    virtual int socket() const { return -1; }
};

}  // namespace homeward::replay
