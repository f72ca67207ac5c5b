#pragma once

/// @file
/// Waits for the local replica with the replay helper's poller. Header-only, so that only its users
/// link homeward::replay.

#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <homeward/forward/client.hpp>
#include <homeward/replay/replica_poller.hpp>
#include <homeward/replay/token.hpp>

namespace homeward::forward {

/// Makes ClientOptions::replica_wait from a poller. The function throws std::runtime_error for a
/// token that says nothing about this replica: of other keys, of another engine, or expired.
/// @param signer with the keys of the primary region's servers
/// @param poller of the replica that this process reads from; must outlive the client
/// @return any thread may call it
inline ReplicaWait replica_wait(std::shared_ptr<const replay::TokenSigner> signer,
                                replay::ReplicaPoller& poller) {
    return [signer = std::move(signer), &poller](const std::string& session_token,
                                                 std::chrono::milliseconds wait_max) {
        const auto now_s = static_cast<std::uint64_t>(std::time(nullptr));
        const replay::Token token = signer->read(session_token, now_s);
        if (!token.is_genuine()) {
            throw std::runtime_error("the session token is not valid here (" +
                                     std::string(replay::name_of(token.state)) +
                                     "); give all regions the keys of the primary region");
        }
        switch (poller.wait_for(token, wait_max).coverage) {
            case replay::Coverage::covered:
                return ReplicaState::covered;
            case replay::Coverage::behind:
                return ReplicaState::behind;
            case replay::Coverage::not_asked:
                throw std::runtime_error(
                    "the session token is of another engine than the replica,"
                    " or expired and of another history");
            case replay::Coverage::different_timeline:
            case replay::Coverage::position_unknown:
            case replay::Coverage::primary_only:
                break;
        }
        return ReplicaState::away;
    };
}

}  // namespace homeward::forward
