#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace homeward::bench {

/// A client that does nothing with messages but count and acknowledge them: one thread on a bare
/// socket, no library, one write for all acks of one read. What it reaches is what the server has
/// to give; nobody who does anything with a message gets more out of it. One thread.
class LeanPuller {
  public:
    LeanPuller(int port, const std::string& stream, const std::string& durable);
    ~LeanPuller();
    LeanPuller(const LeanPuller&) = delete;
    LeanPuller& operator=(const LeanPuller&) = delete;

    /// Until so many have come and their acks have left; throws when none comes for 10 s.
    std::uint64_t pull(std::uint64_t messages);

  private:
    void ask();
    void write();
    void read();
    /// What has come whole; the rest stays for the next read.
    void take_arrived();
    void take_line(std::string_view line);

    int socket_;
    std::string request_;  // a pull's subject and body
    std::string out_;
    std::string in_;
    std::uint64_t taken_ = 0;
    std::uint64_t asked_ = 0;
};

}  // namespace homeward::bench
