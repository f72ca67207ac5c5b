// A program for tests of RunLock: what another process, or the one that a process becomes by
// exec(), finds in a spool.
//
//   run_holder adopt DIR   exits with 0 if the run in DIR is left, else 1
//   run_holder hold DIR    adopts it, writes one byte to standard output and waits to be killed

#include <unistd.h>

#include <string_view>

#include "publisher/run.hpp"

int main(int argc, char** argv) {
    constexpr unsigned kSecondsMax = 120;
    ::alarm(kSecondsMax);
    if (argc != 3) return 2;
    const homeward::Run::Found found = homeward::Run::adopt(argv[2]);
    if (found.finding != homeward::Run::Finding::left) return 1;
    if (std::string_view(argv[1]) == "adopt") return 0;
    if (::write(STDOUT_FILENO, "+", 1) != 1) return 3;
    for (;;) ::pause();
}
