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
#include "schemas/nats/outage_log.hpp"

namespace homeward::forward {

/// What the runners of a server share. Borrowed; any thread.
struct RunnerShare {
    std::string app;
    std::string database_url;
    const replay::TokenSigner* signer;  ///< nullptr: no session tokens
    std::function<void(std::string_view)> on_log;
    std::atomic<std::uint64_t> retried{0};
    std::atomic<std::uint64_t> in_doubt{0};
};

/// Runs calls on a connection of its own, one at a time. Whatever happens, the answer is true: a
/// transaction that ended in an unknown way is settled by looking for its key, and a failure is
/// stored before it is told. One thread.
class CallRunner {
  public:
    /// Runs inside of the transaction; nullopt: nothing is to be stored, and the answer is
    /// not_found. Throws CallFailed, or whatever the app throws.
    using Work = std::function<std::optional<CallResult>(pqxx::work&)>;

    explicit CallRunner(RunnerShare& share) : share_(share) {}
    /// Connects, so that the first call need not wait for it. That it fails is only logged.
    void warm_up();
    Answer run(const Job& job, const Work& work);

  private:
    /// How far a try has come when it ends with an exception.
    enum class Stage : std::uint8_t { connecting, beginning, handling, storing, committing };
    struct Step {
        enum class Kind : std::uint8_t {
            answered,
            unavailable,  ///< rolled back; the leader cannot do it now
            again,        ///< rolled back; another try may succeed
            in_doubt,     ///< COMMIT was sent, and its answer is lost
            failed,       ///< rolled back; `result` is to be stored
        };
        Kind kind;
        Answer answer{};
        CallResult result{};
    };

    Step try_once(const Job& job, const Work& work, bool& is_in_doubt);
    Answer run_transaction(const Job& job, const Work& work, Stage& stage, bool& is_in_doubt);
    Step step_of(const std::exception& error, Stage stage, const Job& job);
    Step step_of_state(const std::string& state, const std::string& text, Stage stage,
                       const Job& job);
    Step step_of_ended(const Job& job);
    bool has_rolled_back();
    bool is_writable();
    void ensure_days();
    pqxx::connection& connection();
    void add_session_token(Answer& answer);
    Step unavailable(const std::string& cause);

    RunnerShare& share_;
    std::unique_ptr<pqxx::connection> connection_;
    std::string transaction_;  ///< the id of the last one
    OutageLog outage_;
};

}  // namespace homeward::forward
