#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace homeward::testing {

/// What the emitter knows of one event, written outside the tested path.
enum class Fate : std::uint8_t {
    unknown = 0,  ///< the process died before emit() had answered
    accepted = 1,
    refused = 2,
};

/// The journal of one emitting thread: written with plain write(2), so that it survives the death
/// of the process. One thread.
class JournalWriter {
  public:
    JournalWriter(const std::filesystem::path& directory, std::uint64_t run, std::uint32_t thread);
    ~JournalWriter();
    JournalWriter(const JournalWriter&) = delete;
    JournalWriter& operator=(const JournalWriter&) = delete;

    /// Before emit(): the event's key, unknown so far.
    std::string begin(std::uint64_t payload_hash);
    /// After it.
    void end(Fate fate);

  private:
    int file_;
    std::string prefix_;
    std::uint64_t count_ = 0;
};

/// FNV-1a, for payloads: tells an altered one, no more.
std::uint64_t hash_of(std::string_view payload);

/// What came out on the leader.
struct FoundRow {
    std::string key;
    std::uint64_t payload_hash;
};

/// The judgement; each list names at most a few keys.
struct Verdict {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    std::uint64_t unknown = 0;
    std::uint64_t rows = 0;
    std::uint64_t lost_count = 0;       ///< of `lost`, all of them
    std::vector<std::string> lost;      ///< accepted, but neither row nor dead letter
    std::vector<std::string> doubled;   ///< more than one row
    std::vector<std::string> altered;   ///< another payload than was emitted
    std::vector<std::string> invented;  ///< a row that nobody emitted, or that was refused

    bool is_clean() const {
        return lost.empty() && doubled.empty() && altered.empty() && invented.empty();
    }
    std::string to_string() const;
};

/// accepted ⊆ rows ∪ dead letters; rows ⊆ accepted ∪ unknown; no key twice; hashes equal.
Verdict judge(const std::filesystem::path& directory, const std::vector<FoundRow>& rows,
              const std::vector<std::string>& dead_keys);

}  // namespace homeward::testing
