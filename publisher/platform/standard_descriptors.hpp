#pragma once

#include <string_view>

namespace homeward {

// Descriptors 0, 1 and 2 are the app's standard input, output and error, also while they are
// closed: whoever writes to standard error then must not write into a file or a connection of ours,
// and an app that closes them later must not close one of ours.

/// Opens /dev/null in place of those that are closed. From any thread.
void occupy_standard_descriptors() noexcept;

/// The same open file as a descriptor beyond 2; -1 and errno if there is none left. What was at its
/// number becomes /dev/null. Negative ones are returned as they are.
int beyond_standard(int descriptor) noexcept;

/// Writes a line in one piece, at most a page. Neither waits for whoever should read it, nor raises
/// SIGPIPE if there is nobody: the line is lost then.
void write_on_stderr(std::string_view prefix, std::string_view line) noexcept;
/// For an app without an on_log: a warning, likewise.
void warn_on_stderr(std::string_view line) noexcept;

}  // namespace homeward
