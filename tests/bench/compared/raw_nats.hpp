#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace homeward::bench {

/// What a user of nats.c would write instead of Homeward: one js_PublishMsgAsync per event, with
/// the library's own defaults. The one file of the benches that knows nats.c. publish() by any
/// thread.
class RawNats {
  public:
    /// `pending_max`: messages without an acknowledgement before publish() blocks; 0: any number,
    /// the library's default. Throws std::runtime_error when there is no server, as the library
    /// gives up then.
    explicit RawNats(const std::string& url, std::int64_t pending_max = 0);
    ~RawNats();

    /// False when the library refused it.
    bool publish(const std::string& subject, std::string_view payload);
    /// Messages that a stream has acknowledged.
    std::uint64_t acked() const;
    /// Waits until all are acknowledged, or the time is over.
    void complete(int time_ms);

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

/// What a user of nats.c would write to read a stream: natsSubscription_Fetch in a loop, one after
/// the other, and an ack for each message. Returns when so many have come, or none for 5 s; how
/// many did.
std::uint64_t fetch_all(const std::string& url, const std::string& stream,
                        const std::string& durable, std::uint64_t messages);

}  // namespace homeward::bench
