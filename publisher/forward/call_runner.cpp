#include "publisher/forward/call_runner.hpp"

#include <ctime>
#include <thread>
#include <utility>

#include <homeward/replay/libpqxx.hpp>

namespace homeward::forward {
namespace {

using namespace std::chrono_literals;

constexpr auto kPauseFirst = 5ms;
constexpr auto kPauseMax = 250ms;
/// What the leader may take beyond the deadline, which is its statement_timeout.
constexpr auto kLeaderAnswerMax = 2s;
constexpr std::size_t kTextBytesMax = 1000;

/// The first line: the rest is PostgreSQL's position and hints.
std::string short_text(std::string_view text) {
    return std::string(text.substr(0, std::min(text.find('\n'), kTextBytesMax)));
}

Answer plain_answer(Outcome outcome, std::string text) {
    Answer answer;
    answer.outcome = outcome;
    answer.body = std::move(text);
    return answer;
}

/// What a retry gets, or somebody who has used a key twice.
Answer stored_answer(const Job& job, const StoredCall& stored) {
    const bool is_query = job.operation == kOutcomeOperation || job.operation == kAbandonOperation;
    const bool is_same = is_query || stored.outcome == Outcome::abandoned ||
                         (stored.operation == job.operation && stored.digest == digest_of(job));
    if (!is_same) {
        const bool is_body = stored.operation == job.operation;
        return plain_answer(Outcome::refused,
                            "the key \"" + job.key + "\" was used for " +
                                (is_body ? "another body of \"" : "the operation \"") +
                                stored.operation + "\"; make a new key for each call");
    }
    Answer answer = plain_answer(stored.outcome, stored.reply);
    answer.code = stored.code;
    answer.was_stored = true;
    return answer;
}

/// Whether the leader is to blame, whatever statement the handler runs: out of memory or disk
/// space, an operator, damaged data, I/O. All else of XX and 58 is the statement's own: XX000 is
/// any error of an extension that names no other, 58P01 a missing file.
bool is_outage(std::string_view state) {
    return state.substr(0, 2) == "53" || (state.substr(0, 2) == "57" && state != "57014") ||
           state == "58030" || state == "XX001" || state == "XX002";
}

}  // namespace

void CallRunner::warm_up() {
    try {
        connection();
    } catch (const std::exception& error) {
        unavailable(short_text(error.what()));
    }
    task_.reset();  // there is no job yet
}

Answer CallRunner::run(const Job& job, const Work& work) {
    deadline_ = job.deadline;
    struct Unwatch {
        std::optional<LeaderWatch::Task>& task;
        ~Unwatch() { task.reset(); }
    } const unwatch{task_};
    if (connection_ != nullptr) watch();
    bool is_in_doubt = false;
    std::optional<CallResult> failure;
    const Work fail = [&](pqxx::work&) { return failure; };
    for (auto pause = kPauseFirst;; pause = std::min(2 * pause, decltype(pause)(kPauseMax))) {
        if (has_passed()) {
            return is_in_doubt
                       ? plain_answer(Outcome::in_doubt, "it is not known how COMMIT has ended")
                       : plain_answer(Outcome::expired, "the deadline has passed");
        }
        Step step = try_once(job, failure ? fail : work, is_in_doubt);
        const bool is_undone = step.kind == Step::Kind::unavailable ||
                               step.kind == Step::Kind::again || step.kind == Step::Kind::failed;
        // But for a handler that has committed before it threw.
        if (is_undone && transaction_status() == "committed") step = ended_by_handler(job);
        switch (step.kind) {
            case Step::Kind::answered:
                return std::move(step.answer);
            case Step::Kind::unavailable:
                if (!is_in_doubt) return std::move(step.answer);
                break;
            case Step::Kind::failed:
                failure = std::move(step.result);
                continue;
            case Step::Kind::in_doubt:
                is_in_doubt = true;
                ++share_.in_doubt;
                break;
            case Step::Kind::ended:
                is_in_doubt = true;
                continue;
            case Step::Kind::again:
                ++share_.retried;
                break;
        }
        std::this_thread::sleep_for(pause);
    }
}

CallRunner::Step CallRunner::try_once(const Job& job, const Work& work, bool& is_in_doubt) {
    Stage stage = Stage::connecting;
    transaction_.clear();
    try {
        return {Step::Kind::answered, run_transaction(job, work, stage, is_in_doubt)};
    } catch (const CallFailed& failed) {
        return {Step::Kind::failed,
                {},
                {Outcome::failed, clean_code(failed.code()),
                 std::string(failed.what()).substr(0, kTextBytesMax)}};
    } catch (const std::exception& error) {
        return step_of(error, stage, job);
    } catch (...) {
        return {Step::Kind::failed,
                {},
                {Outcome::failed, "exception", "the handler threw no std::exception"}};
    }
}

Answer CallRunner::run_transaction(const Job& job, const Work& work, Stage& stage,
                                   bool& is_in_doubt) {
    Answer answer;
    pqxx::connection& connection = this->connection();
    {
        stage = Stage::beginning;
        pqxx::work tx(connection);
        const BegunCall begun = begin_call(tx, share_.app, job, deadline_);
        transaction_ = begun.transaction;
        // An earlier transaction of this call has ended, one way or the other.
        is_in_doubt = false;
        stage = Stage::handling;
        std::optional<CallResult> result;
        if (begun.stored) {
            answer = stored_answer(job, *begun.stored);
        } else if (!(result = run_handler(tx, work))) {
            answer = plain_answer(Outcome::not_found, "no call with this key has ended so far");
        } else {
            stage = Stage::storing;
            store_call(tx, share_.app, job, begun.transaction, *result);
            if (has_passed()) return plain_answer(Outcome::expired, "the deadline has passed");
            stage = Stage::committing;
            tx.commit();
            answer = plain_answer(result->outcome, std::move(result->reply));
            answer.code = std::move(result->code);
        }
    }
    if (const auto line = outage_.ended("the leader answers again", OutageLog::Clock::now())) {
        share_.on_log(*line);
    }
    add_session_token(answer);
    return answer;
}

std::optional<CallResult> CallRunner::run_handler(pqxx::work& tx, const Work& work) {
    struct Busy {
        std::optional<LeaderWatch::Task>& task;
        ~Busy() {
            if (task) task->set_may_be_idle(false);
        }
    } const busy{task_};
    if (task_) task_->set_may_be_idle(true);
    return work(tx);
}

CallRunner::Step CallRunner::step_of(const std::exception& error, Stage stage, const Job& job) {
    const std::string text = short_text(error.what());
    const std::string state = replay::sqlstate_of(error);
    const bool is_lost = replay::cause_of_sqlstate(state) == replay::Cause::connection ||
                         connection_ == nullptr || !connection_->is_open();
    if (stage == Stage::committing &&
        (is_lost || replay::cause_of_sqlstate(state) == replay::Cause::outcome_unknown)) {
        connection_.reset();
        return {Step::Kind::in_doubt};
    }
    if (is_lost) {
        connection_.reset();
        if (stage == Stage::connecting) return unavailable(text);
        return {Step::Kind::again};
    }
    if (stage == Stage::storing && dynamic_cast<const pqxx::usage_error*>(&error) != nullptr) {
        return step_of_state("HW008", text, stage, job);
    }
    return step_of_state(state, text, stage, job);
}

CallRunner::Step CallRunner::step_of_state(const std::string& state, const std::string& text,
                                           Stage stage, const Job& job) {
    if (state == "HW008" || (stage == Stage::storing && state == "25P02")) {
        // Committed, or prepared.
        if (transaction_status() != "aborted") return ended_by_handler(job);
        return {Step::Kind::failed,
                {},
                {Outcome::failed, "transaction_aborted",
                 "the handler went on after a failed statement, or has rolled back by itself"}};
    }
    if (state == replay::kReadOnlySqlTransaction && !is_writable()) {
        connection_.reset();
        return unavailable("the server is on a standby, or its leader is read-only: " + text);
    }
    if (replay::cause_of_sqlstate(state) == replay::Cause::conflict) return {Step::Kind::again};
    if (stage == Stage::storing && state == "23514") {
        ensure_days();
        return {Step::Kind::again};
    }
    // By statement_timeout or lock_timeout, which are the deadline.
    if ((state == "57014" || state == "55P03") && has_passed()) return {Step::Kind::again};
    const bool is_handlers = stage == Stage::handling || stage == Stage::committing;
    if (!is_handlers || is_outage(state)) return unavailable(text);
    return {Step::Kind::failed, {}, {Outcome::failed, state.empty() ? "exception" : state, text}};
}

CallRunner::Step CallRunner::ended_by_handler(const Job& job) {
    share_.on_log("the handler of \"" + job.operation + "\" has ended its transaction (key " +
                  job.key +
                  "); its effects are there, but not together with the key: let the server commit");
    return {Step::Kind::ended};
}

std::string CallRunner::transaction_status() {
    // Not by a new connection: after a failover the id may be another transaction's.
    if (transaction_.empty() || connection_ == nullptr || !connection_->is_open()) return {};
    try {
        pqxx::nontransaction statement(*connection_);
        const auto rows = statement.exec("SELECT pg_xact_status('" + transaction_ + "'::xid8)");
        return rows[0][0].as<std::string>("");
    } catch (const std::exception&) {
        return {};
    }
}

bool CallRunner::is_writable() {
    try {
        return replay::server_role(*connection_) == replay::ServerRole::primary;
    } catch (const std::exception&) {
        return false;
    }
}

void CallRunner::ensure_days() {
    try {
        pqxx::nontransaction statement(*connection_);
        statement.exec("SELECT homeward.ensure_call_days()");
    } catch (const std::exception& error) {
        share_.on_log("no partition of homeward.forwarded_call for today: " +
                      short_text(error.what()));
    }
}

void CallRunner::watch() {
    task_.emplace(*share_.watch, connection_->sock(), deadline_ + kLeaderAnswerMax);
}

pqxx::connection& CallRunner::connection() {
    if (connection_ == nullptr || !connection_->is_open()) {
        connection_.reset();
        connection_ = std::make_unique<pqxx::connection>(leader_url(share_.database_url));
        watch();
    }
    return *connection_;
}

void CallRunner::add_session_token(Answer& answer) {
    if (answer.outcome != Outcome::ok || share_.signer == nullptr) return;
    try {
        if (const auto seen = replay::committed_position(*connection_)) {
            answer.session_token =
                share_.signer->sign(*seen, static_cast<std::uint64_t>(std::time(nullptr)));
        }
    } catch (const std::exception&) {
        // The call is done all the same; its caller reads what the replica has.
        connection_.reset();
    }
}

CallRunner::Step CallRunner::unavailable(const std::string& cause) {
    const auto line =
        outage_.failed("forwarded calls cannot run: " + cause, OutageLog::Clock::now());
    if (line) share_.on_log(*line);
    return {Step::Kind::unavailable, plain_answer(Outcome::unavailable, cause)};
}

}  // namespace homeward::forward
