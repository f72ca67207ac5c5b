#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace homeward::consumer {

/// How far a run of known length is: one bar on a terminal, a line a step elsewhere. On standard
/// error, so that the result can be piped. One thread.
class Progress {
  public:
    Progress(std::size_t steps, std::chrono::duration<double> planned);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Before a step: what it is about.
    void begin(const std::string& what);
    /// Behind it: what came out.
    void end(const std::string& result);

  private:
    void show(const std::string& text) const;

    std::size_t steps_;
    std::size_t done_ = 0;
    std::chrono::duration<double> planned_;
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    bool is_terminal_;
    std::string last_;
};

}  // namespace homeward::consumer
