#pragma once

/// @file
/// What a ReplicaPoller queries. LibpqPositionSource in libpq.hpp is ready-made.

#include <optional>

#include <homeward/replay/position.hpp>

namespace homeward::replay {

/// A connection of its own to the replica that the app reads from. Used by one thread.
class PositionSource {
  public:
    /// Closes the connection.
    virtual ~PositionSource() = default;

    /// Queries the position; connects if there is no connection. It must end within a second or two
    /// and must not throw.
    /// @return nothing if the replica does not answer
    virtual std::optional<ReplicaPosition> ask() = 0;

    /// The socket of its connection, which becomes readable when the server closes it: a restarted
    /// replica may for a moment be behind its earlier position.
    /// @return a file descriptor, or -1 if there is none; a position then expires after
    ///     PollOptions::age_max_ms
    virtual int socket() const { return -1; }
};

}  // namespace homeward::replay
