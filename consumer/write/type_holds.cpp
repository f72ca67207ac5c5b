#include "consumer/write/type_holds.hpp"

#include <spdlog/spdlog.h>

#include "consumer/base/printed_commands.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr auto kTryInterval = 1s;
/// A row that is refused so often, with nothing of its type to compare it with, holds its type.
constexpr int kTriesMax = 3;
/// Bounds the memory. Beyond it all are forgotten, and need one more pass of their type.
constexpr std::size_t kFailuresMax = 10'000;

}  // namespace

TypeHolds::TypeHolds(const Catalog& catalog, Metrics& metrics)
    : catalog_(catalog), metrics_(metrics), states_(catalog.types().size()) {}

void TypeHolds::passed(int type) {
    const std::lock_guard lock(mutex_);
    State& state = states_[static_cast<std::size_t>(type)];
    ++state.passes;
    if (!state.is_held) return;
    state.is_held = false;
    --held_count_;
    const std::string& name = catalog_.types()[static_cast<std::size_t>(type)].name;
    metrics_.end_hold("type", name);
    spdlog::info("event type \"{}\" is written again", name);
}

bool TypeHolds::may_try(int type) {
    if (!any()) return true;
    const std::lock_guard lock(mutex_);
    State& state = states_[static_cast<std::size_t>(type)];
    if (!state.is_held) return true;
    const auto now = SteadyClock::now();
    if (now - state.tried < kTryInterval) return false;
    state.tried = now;
    return true;
}

void TypeHolds::hold(int type, const std::string& why) {
    const std::lock_guard lock(mutex_);
    hold_locked(type, why);
}

void TypeHolds::hold_locked(int type, const std::string& why) {
    State& state = states_[static_cast<std::size_t>(type)];
    state.tried = SteadyClock::now();
    if (state.is_held && state.why == why) return;
    if (!state.is_held) ++held_count_;
    state.is_held = true;
    state.why = why;
    const std::string& name = catalog_.types()[static_cast<std::size_t>(type)].name;
    metrics_.begin_hold("type", name, why);
    spdlog::error(
        "event type \"{}\" is held: {}; its messages wait in their streams, all other types are "
        "written; see {}",
        name, why, command::kCheck);
}

TypeHolds::Verdict TypeHolds::judge(int type, const MessageWork& work, const std::string& why) {
    const std::lock_guard lock(mutex_);
    const State& state = states_[static_cast<std::size_t>(type)];
    if (failures_.size() >= kFailuresMax) failures_.clear();
    const FailureKey key{type, work.pulled.stream->name, work.pulled.message.delivery.stream_seq};
    const auto [failure, is_first] = failures_.try_emplace(key, Failure{state.passes});
    if (!is_first && state.passes > failure->second.passes) {
        failures_.erase(failure);
        return Verdict::dead;
    }
    if (++failure->second.tries >= kTriesMax) hold_locked(type, why);
    return Verdict::later;
}

}  // namespace homeward::consumer
