#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "publisher/tools/emit/line_buffer.hpp"

namespace homeward {

/// What became of lines; of one client, or of all.
struct LineTally {
    std::uint64_t lines = 0;  ///< from a socket without the blank ones
    std::uint64_t taken = 0;
    std::uint64_t dropped = 0;  ///< metrics without room; reported to the leader as well
    std::uint64_t refused = 0;
    std::uint64_t replaced = 0;  ///< bytes of plain text that are not UTF-8 and became U+FFFD
};

/// Why a line was not taken; `code` is empty if it was.
struct Refusal {
    std::string_view code;  ///< invalid, incomplete, too_large, full or closed
    std::string why;        ///< for an operator
};

/// Emits one line, counts it in the tally, and says whether it was refused.
using EmitLine = std::function<Refusal(std::string_view line, bool is_too_long, LineTally& tally)>;

/// One connection of a stream socket: events in, answers out. Owns the descriptor, which does not
/// block. A client that does not read its answers holds nobody up, itself included: beyond
/// kAnswersBytesMax refusals are only counted.
class SocketClient {
  public:
    SocketClient(int descriptor, EmitLine emit) : descriptor_(descriptor), emit_(std::move(emit)) {}
    ~SocketClient();
    SocketClient(const SocketClient&) = delete;
    SocketClient& operator=(const SocketClient&) = delete;

    enum class Outcome : std::uint8_t { open, over };
    /// Takes one turn's worth of what was sent, and answers.
    Outcome read();
    Outcome write();
    /// Takes what was sent up to now and says how it stands; nothing is read after that.
    void drain();

    bool is_reading() const { return !is_ended_; }
    bool has_answers() const { return !answers_.empty(); }

  private:
    static constexpr std::size_t kAnswersBytesMax = 64u << 10;

    bool read_once(std::size_t bytes_max);
    void take(std::string_view line, bool is_too_long);
    void answer(const std::string& line);
    std::string summary() const;
    void finish();

    int descriptor_;
    EmitLine emit_;
    LineBuffer lines_;
    LineTally tally_;
    std::string answers_;
    bool is_ended_ = false;  // the client will send no more
};

}  // namespace homeward
