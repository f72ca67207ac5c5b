#pragma once

/// @file
/// What a ReplicaPoller queries. LibpqPositionSource in libpq.hpp is ready-made, and so are those
/// of libmariadb.hpp and hiredis.hpp.

#include <chrono>
#include <optional>

#include <homeward/replay/position.hpp>

namespace homeward::replay {

/// A connection of its own to the replica that the app reads from. Used by one thread.
class PositionSource {
  public:
    /// Closes the connection.
    virtual ~PositionSource() = default;

    /// Queries the position; connects if there is no connection. It must end within a second or
    /// two. An exception counts as no answer.
    /// @return nothing if the replica does not answer
    virtual std::optional<ReplicaPosition> ask() = 0;

    /// Lets the server wait, where it can, and then queries the position. It must end within a
    /// second or two after `wait_max`. An exception counts as no answer.
    /// @param seen until it has this
    /// @param wait_max milliseconds; it may return earlier
    /// @return as ask()
    virtual std::optional<ReplicaPosition> wait_for(const Position& seen,
                                                    std::chrono::milliseconds wait_max) {
        static_cast<void>(seen);
        static_cast<void>(wait_max);
        return ask();
    }

    /// The engine whose positions it gives, or another of the same client (shares_client()). Any
    /// thread.
    /// @return it never changes
    virtual Engine engine() const { return Engine::postgresql; }

    /// The socket of its connection, which becomes readable when the server closes it: a restarted
    /// replica may for a moment be behind its earlier position.
    /// @return a file descriptor, or -1 if there is none; a position then expires after
    ///     PollOptions::age_max_ms
    virtual int socket() const { return -1; }
};

}  // namespace homeward::replay
