#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "consumer/base/batch_limits.hpp"
#include "consumer/base/config.hpp"
#include "consumer/decode/frame_decoder.hpp"
#include "consumer/ledger/leader_fence.hpp"
#include "consumer/ledger/ledger.hpp"
#include "consumer/ledger/origin_registry.hpp"
#include "consumer/ledger/plain_reservations.hpp"
#include "consumer/ledger/recent_commits.hpp"
#include "consumer/ledger/settled_streams.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/postgres/partitions.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/pull/pull.hpp"
#include "consumer/write/acknowledger.hpp"
#include "consumer/write/day_budget.hpp"
#include "consumer/write/dead_letter_quota.hpp"
#include "consumer/write/newer_frames.hpp"
#include "consumer/write/origin_quota.hpp"
#include "consumer/write/refusal_judge.hpp"
#include "consumer/write/row_copier.hpp"
#include "consumer/write/source_holds.hpp"
#include "consumer/write/type_holds.hpp"
#include "consumer/write/writer_log.hpp"
#include "consumer/write/writer_probe.hpp"

namespace homeward::consumer {

/// What decides whether an event that can be written may be written now.
struct Admission {
    TypeHolds& types;
    SourceHolds& sources;
    NewerFrames& newer_frames;
    DeadLetterQuota& dead_letters;
    OriginQuota* origins;  ///< null: any number of new publishers
};

/// How a writer checks that a leader is the right one, and what it has committed already.
struct LeaderChecks {
    LeaderFence* fence;  ///< null: any leader is right
    RecentCommits& commits;
    bool ledger_first = false;  ///< most of it will be there already
};

/// What writers share. Thread-safe members only.
struct WriterContext {
    const Config& config;
    BatchLimits& limits;  ///< of these, not config.batch, which is as it was at the start
    std::shared_ptr<const Catalog> catalog;
    Puller& puller;
    Acknowledger& acknowledger;
    Admission admission;
    LeaderChecks leader;
    Metrics& metrics;
    WriterLog& log;
    std::function<std::int64_t(const Stream&)> stream_created_us;
    std::atomic<bool> stopping{false};
};

/// Takes batches, commits them to the leader, then acknowledges. Has a thread and a connection of
/// its own; any number of writers, in any number of processes, may work side by side.
///
/// A batch is first written as if nothing of it were in the ledger (the rows, then the frames). If
/// the leader objects, or a message has been delivered before, it is written again with the ledger
/// asked first; only what then still fails is taken apart, event by event.
class Writer {
  public:
    explicit Writer(WriterContext& context);
    ~Writer();  // joins; the context's puller must have been stopped

  private:
    struct Quarantined {
        MessageWork* work;
        std::string reason;
    };

    void run();
    bool write(Batch& batch);
    bool write_halves(Batch& batch);
    void prepare(Batch& batch);
    void resolve_origin(MessageWork& work);
    void quarantine(MessageWork& work, const std::string& reason);
    void insert_quarantined();
    bool decode(Batch& batch, MessageDecoder::Into into);
    bool write_optimistically(Batch& batch);
    bool write_carefully(Batch& batch);
    bool return_any(Batch& batch);
    bool copy_isolated(Batch& batch);
    bool is_redone(const LeaderError& error, bool careful);
    void recover(const LeaderError& error);
    void pause(const std::string& why, std::chrono::milliseconds time);
    void connect_early();
    bool connect(std::chrono::milliseconds wait);

    WriterContext& context_;
    std::optional<PgConnection> leader_;
    StageClock& stage_;
    bool has_worked_ = false;
    bool has_given_up_ = false;
    bool is_too_much_ = false;  ///< of the batch at hand is refused: half of it at a time
    CommitPoint committed_;     ///< of the last batch
    OriginRegistry origins_;
    PlainReservations plain_;
    SettledStreams settled_streams_;
    Partitions partitions_;
    RowCopier copier_;
    RefusalJudge judge_;
    DayBudget day_budget_;
    QuotaClaim quota_claim_;
    std::vector<Quarantined> quarantined_;  ///< of the batch, to be inserted by its transaction
    WriterProbe probe_;
    MessageDecoder decoder_;
    std::thread thread_;
};

}  // namespace homeward::consumer
