#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <pqxx/pqxx>
#include <string>

#include <homeward_forward_server.h>
#include <homeward/forward/call.hpp>

#include "publisher/bindings/c/pulled_calls.hpp"

/// One run of a handler. The worker's, and meanwhile the thread's that runs the handler.
struct homeward_tx {
    homeward_tx(pqxx::work& transaction, const homeward::forward::Call& from);
    homeward_tx(const homeward_tx&) = delete;
    homeward_tx& operator=(const homeward_tx&) = delete;

    /// What a C++ handler would return or throw.
    std::string result();

    pqxx::work& work;
    const std::string region;
    const std::string app;
    const std::string operation;
    const std::string key;
    homeward_call call{};
    homeward::PulledCalls* pulled = nullptr;  ///< where to end a call that was taken

    std::exception_ptr failure;  ///< of the last statement that failed
    std::string sqlstate;        ///< of the last statement
    std::string error;
    std::optional<std::string> reply;
    std::optional<homeward::forward::CallFailed> refusal;
    bool has_ended = false;
};
