#pragma once

#include <string>
#include <vector>

#include "schemas/wire/frame.hpp"
#include "tests/support/servers/nats_client.hpp"

namespace homeward::testing {

/// One publisher's side of the wire, told exactly which frames to send: again, out of order,
/// overlapping, under another's name. Without Nats-Msg-Id, so that the stream keeps every copy.
/// One thread.
class FramePublisher {
  public:
    /// `password`: of the app's login as deploy/nats/generate makes it; empty: it needs none.
    FramePublisher(int nats_port, std::string region, std::string app,
                   const std::string& password = "");

    /// Audit events of the seqs [first, first + count), each with its seq as resource, and all of
    /// the time when the sender was made. `accepted` 0: up to its own last seq.
    std::string frame(std::uint64_t first, std::uint32_t count, std::uint64_t accepted = 0,
                      std::uint16_t flags = 0);
    /// These lines, from seq `first` on; `covered`: by tombstone lines, beyond one seq a line.
    std::string frame_of(std::uint64_t first, const std::vector<std::string>& lines,
                         std::uint64_t accepted = 0, std::uint16_t flags = 0,
                         std::uint32_t covered = 0);
    /// The count-only frame that ends the origin.
    std::string closing_mark(std::uint64_t accepted);

    void send(const std::string& frame) { send_as(region_, app_, frame); }
    void send_as(const std::string& region, const std::string& app, const std::string& frame);

    PublisherId publisher = PublisherId::random();

  private:
    std::string time_;
    std::string region_;
    std::string app_;
    FrameEncoder encoder_;
    NatsClient client_;
};

/// One line of an audit event; without a time that of its message counts.
std::string audit_line(const std::string& resource, const std::string& time = "");

}  // namespace homeward::testing
