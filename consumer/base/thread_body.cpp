#include "consumer/base/thread_body.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <exception>
#include <utility>

namespace homeward::consumer {
namespace {

/// Of the exception that is being handled. Valid within the handler.
const char* what_is_thrown() noexcept {
    try {
        throw;
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an unknown exception";
    }
}

}  // namespace

std::thread start_thread(const char* name, std::function<void()> body) {
    return std::thread([name, body = std::move(body)]() noexcept {
        ::pthread_setname_np(::pthread_self(), name);
        try {
            body();
        } catch (...) {
            spdlog::critical("thread {} ended by an exception: {}; the process ends with it", name,
                             what_is_thrown());
            spdlog::default_logger()->flush();
            std::_Exit(kThreadDiedExit);
        }
    });
}

bool run_turn(const char* name, const std::function<void()>& turn) noexcept {
    try {
        turn();
        return true;
    } catch (...) {
        spdlog::error("thread {}: {}; trying again", name, what_is_thrown());
        return false;
    }
}

}  // namespace homeward::consumer
