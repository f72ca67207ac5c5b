#include "consumer/write/writer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "consumer/base/printed_commands.hpp"
#include "consumer/base/thread_body.hpp"
#include "consumer/base/time.hpp"
#include "consumer/write/batch_overlaps.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kRetryFirst = 50ms;
constexpr auto kRetryMax = 2s;
constexpr auto kPause = 5s;
constexpr std::string_view kNothingLost = "; nothing is lost, writing goes on when this is mended";
/// Rows that one transaction isolates, unless all are of one message.
constexpr std::size_t kRefusedMax = 256;

}  // namespace

Writer::Writer(WriterContext& context)
    : context_(context),
      stage_(context.metrics.stages.add()),
      partitions_(context.config.postgres),
      copier_(context.config, *context.catalog, partitions_),
      judge_(context.config, *context.catalog, context.admission.types),
      day_budget_(*context.catalog, partitions_),
      quota_claim_(context.admission.dead_letters),
      probe_(*context.catalog, context.metrics, context.admission.dead_letters,
             context.admission.types, context.log),
      decoder_(context.catalog, time_limits(context.config)),
      thread_(start_thread("writer", [this] { run(); })) {}

Writer::~Writer() {
    thread_.join();
}

void Writer::run() {
    const auto bounds = [this] {
        const Config::Batch limits = context_.limits.read();
        return BatchBounds{limits.rows_max, limits.bytes_max,
                           std::chrono::milliseconds(limits.delay_ms), limits.adaptive_delay};
    };
    connect_early();
    for (;;) {
        stage_.enter(Stage::wait);
        std::vector<PulledMessage> pulled = context_.puller.take(bounds);
        stage_.enter(Stage::decode);
        if (pulled.empty()) return;
        const auto taken = SteadyClock::now();
        const WriterProbe::Taken sizes = probe_.taken(pulled, taken);
        Batch batch;
        batch.reserve(pulled.size());
        auto oldest = taken;
        for (PulledMessage& one : pulled) {
            oldest = std::min(oldest, one.touched);
            batch.push_back(decoder_.open(std::move(one)));
        }
        context_.admission.newer_frames.judge(batch, taken);
        const std::size_t messages = batch.size();
        const auto held = context_.acknowledger.hold(batch, oldest);
        // Once a stop has met a leader that is away, what is left is not even tried.
        has_given_up_ = has_given_up_ || !write(batch);
        context_.acknowledger.release(held);
        if (has_given_up_) {
            context_.acknowledger.give_up(batch);
        } else {
            context_.acknowledger.answer(batch, committed_);
        }
        const auto now = SteadyClock::now();
        context_.acknowledger.finished(messages, sizes.has_more, now);
        context_.puller.finish(messages, sizes.bytes, now - taken);
    }
}

/// Before the first batch, which would wait: the fence asks every region, across its link.
void Writer::connect_early() {
    try {
        connect(kRetryFirst);
    } catch (const LeaderError&) {
        leader_.reset();  // the first batch tries again, and reports it
    }
}

/// Whether there is a leader to write to. If not, it has paused, at least for `wait`.
bool Writer::connect(std::chrono::milliseconds wait) {
    if (leader_ && !leader_->is_broken()) return true;
    leader_.reset();
    copier_.forget_layout();
    leader_.emplace(context_.config.postgres.url, context_.config.postgres);
    // Also what this leader never had: it may be a standby that lacks the last commits, or restored
    // from a backup, and give the same numbers to others.
    has_worked_ = true;
    partitions_.forget();
    origins_.forget();
    LeaderFence::Answer answer;
    if (context_.leader.fence != nullptr) {
        answer = context_.leader.fence->ask(leader_->identity());
    }
    if (answer.verdict == LeaderFence::Verdict::admitted) {
        context_.metrics.leader_up = true;
        return true;
    }
    leader_.reset();
    ++context_.metrics.retries;
    if (answer.verdict == LeaderFence::Verdict::refused) {
        pause(answer.reason + std::string(kNothingLost), kPause);
    } else {
        context_.log.leader_failed(answer.reason);
        pause("", wait);
    }
    return false;
}

/// Until it is committed, however long that takes; false if a stop came in between.
bool Writer::write(Batch& batch) {
    const auto started = SteadyClock::now();
    bool careful = context_.leader.ledger_first || settled_streams_.have_any_of(batch);
    judge_.begin_batch();
    auto wait = std::chrono::milliseconds(kRetryFirst);
    int redos = 0;
    while (true) {
        try {
            if (!connect(wait)) {
                if (context_.stopping) return false;
                continue;
            }
            prepare(batch);
            const bool is_done = careful ? write_carefully(batch) : write_optimistically(batch);
            if (is_too_much_) return write_halves(batch);
            // Not written: a part of it goes back to its stream, and the rest is tried anew.
            if (!is_done) continue;
            context_.log.committed();
            break;
        } catch (const LeaderError& error) {
            ++context_.metrics.retries;
            recover(error);
            const bool redo_now = is_redone(error, careful);
            // Whatever happened, the COMMIT may have come through: the ledger knows.
            careful = true;
            if (redo_now) {
                ++context_.metrics.redos;
                // The first at once; whoever is in the way of the next ones needs some time.
                if (++redos > 1) pause("", wait);
            } else if (classify(error.sqlstate(), has_worked_) == ErrorClass::retry) {
                context_.log.leader_failed(std::string(error.what()) + " [" + error.sqlstate() +
                                           "]");
                pause("", wait);
            } else {
                partitions_.forget();
                pause(std::string(error.what()) + " [" + error.sqlstate() + "]" +
                          std::string(kNothingLost),
                      kPause);
            }
            if (redos != 1) wait = std::min<std::chrono::milliseconds>(wait * 2, kRetryMax);
            if (context_.stopping) return false;
        }
    }
    context_.leader.commits.remember(batch, committed_.leader);
    probe_.committed(batch, SteadyClock::now() - started);
    quota_claim_.release();
    return true;
}

/// Everybody waits for what a transaction has claimed, so none isolates very many rows.
bool Writer::write_halves(Batch& batch) {
    is_too_much_ = false;
    const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
    Batch rest(std::make_move_iterator(middle), std::make_move_iterator(batch.end()));
    batch.erase(middle, batch.end());
    const bool is_done = write(batch) && write(rest);
    std::move(rest.begin(), rest.end(), std::back_inserter(batch));
    return is_done;
}

/// Leaves a connection that can be used, or none.
void Writer::recover(const LeaderError& error) {
    if (error.lacks_partition()) partitions_.forget();
    if (!leader_ || leader_->is_broken()) return;
    // Also what was read-only: the next connection looks for the new leader. After a statement that
    // took too long there is nothing to look for.
    const bool is_away = classify(error.sqlstate(), has_worked_) == ErrorClass::retry &&
                         error.sqlstate() != kQueryCanceled;
    if (is_away) {
        leader_.reset();
        return;
    }
    try {
        leader_->execute("ROLLBACK");
    } catch (const LeaderError&) {
        leader_.reset();
    }
}

/// Whether writing the batch anew, with the ledger asked first and each row by itself if need be,
/// is the answer: to whatever may come of single rows, and to a seal that does not hold, since what
/// another has just settled the next look will see.
bool Writer::is_redone(const LeaderError& error, bool careful) {
    if (error.sqlstate() == "HW001" || error.lacks_partition()) return true;
    if (careful) return false;
    return error.sqlstate() == kQueryCanceled ||
           classify(error.sqlstate(), has_worked_) != ErrorClass::retry;
}

void Writer::pause(const std::string& why, std::chrono::milliseconds time) {
    if (!why.empty()) context_.log.paused(why);
    stage_.enter(Stage::retry);
    const auto until = SteadyClock::now() + time;
    while (SteadyClock::now() < until && !context_.stopping) std::this_thread::sleep_for(10ms);
}

void Writer::resolve_origin(MessageWork& work) {
    const PulledMessage& pulled = work.pulled;
    const auto subject = parse_subject(pulled.message.subject);
    if (work.is_plain()) {
        // Who may make his stream take any subject may not speak in the name of other regions.
        const bool is_own = subject && subject->region == pulled.stream->region;
        const auto& entry =
            origins_.find_plain(*leader_,
                                {pulled.stream->name, context_.stream_created_us(*pulled.stream),
                                 pulled.stream->region},
                                is_own ? subject->app : "-");
        work.origin = entry.origin;
        work.plain_source = entry.source;
        return;
    }
    const std::string region(subject ? subject->region : "?");
    const std::string app(subject ? subject->app : "?");
    const OriginEntry& entry =
        origins_.find(*leader_, work.header.publisher,
                      std::string(to_string(work.header.event_class)), region, app);
    work.origin = entry.id;
    if (entry.region == region && entry.app == app) return;
    // Whoever may publish anything could otherwise mark another's events as settled.
    spdlog::error("a frame from {} claims an origin of {}/{}", pulled.message.subject, entry.region,
                  entry.app);
    quarantine(work, "its origin belongs to region " + entry.region + ", app " + entry.app);
}

/// Kept for an operator to judge; goes back to its stream when there is no room for it. It has the
/// room of the dead letters, so that nobody who may publish can fill the leader's disk.
void Writer::quarantine(MessageWork& work, const std::string& reason) {
    const std::size_t bytes = work.pulled.message.data.size();
    context_.admission.dead_letters.await_measured();
    const bool fits = quota_claim_.add_frame(bytes);
    context_.metrics.quota_full = !fits;
    if (!fits) {
        work.state = MessageWork::State::returned;
        spdlog::error(
            "no room for a frame that contradicts the ledger (dead_letters.letters_max, "
            ".bytes_max): it waits in its stream; see {}",
            command::kConflictsList);
        return;
    }
    quarantined_.push_back({&work, reason});
    work.state = MessageWork::State::quarantined;
}

/// Inside the batch's transaction: rows of one that is rolled back would have room that nobody
/// counts.
void Writer::insert_quarantined() {
    for (const Quarantined& one : quarantined_) {
        ledger::quarantine(*leader_, *one.work, one.reason);
    }
}

void Writer::prepare(Batch& batch) {
    quota_claim_.release();
    quarantined_.clear();
    register_origins(*leader_, origins_, context_.admission.origins, batch);
    for (MessageWork& work : batch) {
        work.reset();
        if (!work.is_skipped()) resolve_origin(work);
    }
    for (const Overlap& overlap : skip_overlaps(batch)) {
        quarantine(*overlap.work, std::string(ledger::explain(overlap.verdict)));
    }
}

/// False when something of it must not be written now.
bool Writer::decode(Batch& batch, MessageDecoder::Into into) {
    stage_.enter(Stage::decode);
    const auto started = SteadyClock::now();
    const std::uint64_t nuls = decoder_.replaced_nuls();
    const std::int64_t now_us = system_us();
    for (MessageWork& work : batch) {
        if (!work.is_skipped()) decoder_.decode(work, now_us, into);
    }
    DayBudget::Answer days = day_budget_.limit(batch, now_us);
    copier_.add_dead_letters(std::move(days.refused));
    context_.metrics.replaced_nuls += decoder_.replaced_nuls() - nuls;
    context_.metrics.decode_seconds.observe(seconds(SteadyClock::now() - started));
    return !days.is_any_returned;
}

/// Marks what must not be written now, as its type or its source is held or there is no room for
/// its dead events. True if there is any.
bool Writer::return_any(Batch& batch) {
    return judge_.return_held(batch) ||
           context_.admission.sources.return_bad(batch, context_.limits.read().bad_events_max) ||
           return_what_exceeds_quota(batch, quota_claim_, context_.metrics);
}

bool Writer::write_optimistically(Batch& batch) {
    plain_.reserve(*leader_, batch);
    if (!decode(batch, copier_.best_form()) || return_any(batch)) return false;
    copier_.make_room(*leader_, batch);
    stage_.enter(Stage::copy);
    leader_->execute("BEGIN; " + plain_.take_statement());
    insert_quarantined();
    const auto started = SteadyClock::now();
    copier_.copy(*leader_, batch);
    ledger::write_rest(*leader_, batch);
    const auto copied = SteadyClock::now();
    stage_.enter(Stage::commit);
    const ledger::Settlement settled = ledger::settle_and_commit(*leader_, batch);
    stage_.move(Stage::commit, Stage::ledger, settled.ledger_s);
    committed_ = {leader_->identity(), settled.lsn};
    context_.metrics.copy_seconds.observe(seconds(copied - started));
    context_.metrics.commit_seconds.observe(seconds(SteadyClock::now() - copied));
    return true;
}

bool Writer::write_carefully(Batch& batch) {
    stage_.enter(Stage::ledger);
    plain_.reserve(*leader_, batch);
    // What is checked only at COMMIT could not be laid to one event.
    leader_->execute("BEGIN; SET CONSTRAINTS ALL IMMEDIATE; " + plain_.take_statement());
    const auto verdicts = ledger::claim(*leader_, batch);
    settled_streams_.note(batch, verdicts);
    for (std::size_t i = 0; i < batch.size(); ++i) {
        MessageWork& work = batch[i];
        if (work.is_skipped() || verdicts[i] == ledger::Verdict::fresh) continue;
        if (verdicts[i] == ledger::Verdict::settled) {
            work.state = MessageWork::State::settled;
            continue;
        }
        quarantine(work, std::string(ledger::explain(verdicts[i])));
    }
    bool is_whole = decode(batch, MessageDecoder::Into::rows);
    const TableDays days = copier_.missing_days(batch);
    is_whole = is_whole && days.empty() && !return_any(batch);
    if (is_whole) {
        stage_.enter(Stage::copy);
        is_whole = copy_isolated(batch) && !return_any(batch);
    }
    if (!is_whole) {
        leader_->execute("ROLLBACK");
        // Never inside the transaction, whose locks all others would wait for.
        partitions_.ensure(*leader_, days);
        return false;
    }
    insert_quarantined();
    ledger::write_rest(*leader_, batch);
    stage_.enter(Stage::commit);
    committed_ = {leader_->identity(), ledger::seal_and_commit(*leader_, batch)};
    return true;
}

/// Rows that the leader refuses become dead events, or their messages are to go back to their
/// streams: then false.
bool Writer::copy_isolated(Batch& batch) {
    auto outcomes =
        copier_.isolate_bad_rows(*leader_, batch, batch.size() > 1 ? kRefusedMax : SIZE_MAX);
    is_too_much_ = !outcomes.empty() && outcomes.back().is_cut_short;
    if (is_too_much_) return false;
    std::vector<Refusal> dead;
    if (judge_.judge(*leader_, batch, outcomes, dead)) return false;
    copier_.add_dead_letters(std::move(dead));
    return true;
}

}  // namespace homeward::consumer
