#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>

#include <homeward/replay/token.hpp>

#include "publisher/forward/call_store.hpp"
#include "publisher/forward/leader_link.hpp"
#include "schemas/nats/outage_log.hpp"

namespace homeward::forward {

/// Shared by the runners of a server, which borrow it. Any thread.
struct RunnerShare {
    std::string app;
    std::string database_url;
    const replay::TokenSigner* signer;  ///< nullptr: no session tokens
    std::function<void(std::string_view)> on_log;
    LeaderWatch* watch;  ///< while runners run
    std::atomic<std::uint64_t> retried{0};
    std::atomic<std::uint64_t> in_doubt{0};
};

/// Runs calls on a connection of its own, one at a time. If the result of a COMMIT is unknown, it
/// looks for the call's key; it stores a failure before it answers with it. One thread.
class CallRunner {
  public:
    /// Runs inside the transaction. nullopt: nothing is stored, and the answer is `not_found`.
    /// Throws CallFailed, or any exception of the app's.
    using Work = std::function<std::optional<CallResult>(pqxx::work&)>;

    explicit CallRunner(RunnerShare& share) : share_(share) {}
    /// Connects ahead of the first call. A failure is only logged.
    void warm_up();
    Answer run(const Job& job, const Work& work);

  private:
    /// How far an attempt got before an exception ended it.
    enum class Stage : std::uint8_t { connecting, beginning, handling, storing, committing };
    struct Step {
        enum class Kind : std::uint8_t {
            answered,
            unavailable,  ///< rolled back; the leader cannot run it now
            again,        ///< rolled back; another attempt may succeed
            in_doubt,     ///< COMMIT was sent, and its answer is lost
            ended,        ///< the handler has ended the transaction; the claim tells how
            failed,       ///< rolled back; `result` is to be stored
        };
        Kind kind;
        Answer answer{};
        CallResult result{};
    };

    Step try_once(const Job& job, const Work& work, bool& is_in_doubt);
    Answer run_transaction(const Job& job, const Work& work, Stage& stage, bool& is_in_doubt);
    std::optional<CallResult> run_handler(pqxx::work& tx, const Work& work);
    Step step_of(const std::exception& error, Stage stage, const Job& job);
    Step step_of_state(const std::string& state, const std::string& text, Stage stage,
                       const Job& job);
    Step ended_by_handler(const Job& job);
    bool has_passed() const { return Job::Clock::now() >= deadline_; }
    /// Of the attempt's transaction: 'committed', 'aborted'; empty if it is not known.
    std::string transaction_status();
    bool is_writable();
    void ensure_days();
    /// Of the job, on the connection that there is: until its deadline, or little later.
    void watch();
    pqxx::connection& connection();
    void add_session_token(Answer& answer);
    Step unavailable(const std::string& cause);

    RunnerShare& share_;
    std::unique_ptr<pqxx::connection> connection_;
    std::optional<LeaderWatch::Task> task_;  ///< while a job is run on a connection
    std::string transaction_;                ///< the id of the attempt's; empty: not begun
    Job::Clock::time_point deadline_{};      ///< of the job
    OutageLog outage_;
};

}  // namespace homeward::forward
