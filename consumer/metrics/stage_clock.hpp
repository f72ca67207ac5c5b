#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string_view>

namespace homeward::consumer {

/// What a writer may be doing.
enum class Stage : std::uint8_t {
    wait,    ///< nothing to write has arrived, or not enough for long enough
    decode,  ///< messages into rows, on this machine
    copy,    ///< rows, dead letters and tombstones into their tables
    ledger,  ///< the frames' ranges
    commit,
    retry,  ///< waiting after an error until it is worth trying again
};
inline constexpr std::size_t kStages = 6;
std::string_view to_string(Stage stage);

/// Seconds spent in each stage.
struct StageSeconds {
    std::array<double, kStages> of{};
    double operator[](Stage stage) const { return of[static_cast<std::size_t>(stage)]; }
    double sum() const;
};
StageSeconds operator-(const StageSeconds& after, const StageSeconds& before);

/// How one writer spends its time, told also while it is at it: one that has been stuck for a
/// minute has spent that minute already. The writer's thread enters; any thread reads.
class StageClock {
  public:
    /// Until it is entered, a clock stands still.
    void enter(Stage stage);
    /// So many seconds of what was counted as `from` were spent in `to`.
    void move(Stage from, Stage to, double seconds);
    void stop();
    StageSeconds read() const;

  private:
    void settle(std::chrono::steady_clock::time_point now);

    mutable std::mutex mutex_;
    StageSeconds spent_;
    Stage stage_ = Stage::wait;
    bool running_ = false;
    std::chrono::steady_clock::time_point since_;
};

/// The clocks of all writers of a process. Any thread; a clock lives as long as this does.
class StageClocks {
  public:
    StageClock& add();
    StageSeconds read() const;

  private:
    mutable std::mutex mutex_;
    std::deque<StageClock> clocks_;
};

}  // namespace homeward::consumer
