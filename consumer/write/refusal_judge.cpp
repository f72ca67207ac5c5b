#include "consumer/write/refusal_judge.hpp"

#include <algorithm>

#include "consumer/postgres/schema_drift.hpp"

namespace homeward::consumer {
namespace {

std::string said(const LeaderError& error) {
    return std::string(error.what()) + " [" + error.sqlstate() + "]";
}

std::string joined(const std::vector<std::string>& sentences) {
    std::string text;
    for (const std::string& one : sentences) text += (text.empty() ? "" : "; ") + one;
    return text;
}

}  // namespace

void RefusalJudge::return_all(Batch& batch, int type) {
    for (MessageWork& work : batch) {
        if (work.is_skipped()) continue;
        const bool has_any = std::any_of(work.events.begin(), work.events.end(),
                                         [type](const EventRow& one) { return one.type == type; });
        if (has_any) work.state = MessageWork::State::returned;
    }
}

bool RefusalJudge::return_held(Batch& batch) {
    if (!holds_.any()) return false;
    bool any = false;
    for (MessageWork& work : batch) {
        if (work.is_skipped()) continue;
        const bool may_write_all =
            std::all_of(work.events.begin(), work.events.end(),
                        [this](const EventRow& one) { return may_write(one.type); });
        if (may_write_all) continue;
        work.state = MessageWork::State::returned;
        any = true;
    }
    return any;
}

/// Asked once a batch and type: a batch that is written again has the same right to try as before.
bool RefusalJudge::may_write(int type) {
    const auto [answer, is_new] = may_write_.try_emplace(type, false);
    if (is_new) answer->second = holds_.may_try(type);
    return answer->second;
}

bool RefusalJudge::judge_type(PgConnection& leader, Batch& batch, CopyOutcome& outcome,
                              std::vector<Refusal>& dead) {
    if (outcome.refused.empty() && !outcome.table_error) return false;
    const EventType& type = catalog_.types()[static_cast<std::size_t>(outcome.type)];
    std::vector<std::string> drift;
    if (outcome.passed == 0) {
        drift = find_schema_drift(leader, config_.postgres.event_schema, type);
    }
    if (!drift.empty() || outcome.table_error) {
        holds_.hold(outcome.type, drift.empty() ? said(*outcome.table_error) : joined(drift));
        return_all(batch, outcome.type);
        return true;
    }
    bool any = false;
    for (Refusal& refusal : outcome.refused) {
        if (is_dead(outcome, refusal)) {
            dead.push_back(std::move(refusal));
        } else {
            refusal.place.work->state = MessageWork::State::returned;
            any = true;
        }
    }
    return any;
}

/// The table is as it should be.
bool RefusalJudge::is_dead(const CopyOutcome& outcome, const Refusal& refusal) {
    const LeaderError& error = refusal.error;
    if (is_transient(error.sqlstate()) || error.lacks_partition()) return false;
    const ErrorClass error_class = classify(error.sqlstate(), true);
    const bool is_data = error_class == ErrorClass::data || error_class == ErrorClass::settled;
    return is_data || outcome.passed > 0 ||
           holds_.judge(outcome.type, *refusal.place.work, said(error)) == TypeHolds::Verdict::dead;
}

bool RefusalJudge::judge(PgConnection& leader, Batch& batch, std::vector<CopyOutcome>& outcomes,
                         std::vector<Refusal>& dead) {
    bool any = false;
    for (CopyOutcome& outcome : outcomes) any |= judge_type(leader, batch, outcome, dead);
    return any;
}

}  // namespace homeward::consumer
