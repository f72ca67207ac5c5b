#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "consumer/decode/event_decoder.hpp"
#include "consumer/decode/message_work.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/nats/pulled_message.hpp"
#include "consumer/write/dead_letter_quota.hpp"
#include "consumer/write/type_holds.hpp"
#include "consumer/write/writer_log.hpp"

namespace homeward::consumer {

/// Counts and logs what one writer does, so that its own code need not. One thread.
class WriterProbe {
  public:
    WriterProbe(const Catalog& catalog, Metrics& metrics, DeadLetterQuota& dead_letter_quota,
                TypeHolds& type_holds, WriterLog& log)
        : catalog_(catalog),
          metrics_(metrics),
          dead_letter_quota_(dead_letter_quota),
          type_holds_(type_holds),
          log_(log) {}

    struct Taken {
        std::size_t bytes = 0;
        bool has_more = false;  ///< in one of its streams
    };
    /// A batch that is not empty has come from the puller.
    Taken taken(const std::vector<PulledMessage>& pulled,
                std::chrono::steady_clock::time_point now);
    void committed(const Batch& batch, std::chrono::steady_clock::duration took);

  private:
    void count_dead(const MessageWork& work);

    const Catalog& catalog_;
    Metrics& metrics_;
    DeadLetterQuota& dead_letter_quota_;
    TypeHolds& type_holds_;
    WriterLog& log_;
};

}  // namespace homeward::consumer
