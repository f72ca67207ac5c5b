// Who may take a run: fork() × exec() × SIGKILL of a parent whose children live.
//
// Method: real processes. A forked child of the test makes the run; the test, or the program that
// the child becomes, asks whether it is free.

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include <homeward/publisher.hpp>

#include "publisher/spool/run.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// A process that outlives its test is killed by this.
constexpr unsigned kSecondsMax = 120;

RunIdentity identity_in(const TempDir& dir) {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = "ams";
    identity.app = "shop";
    identity.lane_dir = dir / "lanes";
    return identity;
}

/// For this process and its children alone; false where that is not allowed.
bool hide_proc() {
    if (::unshare(CLONE_NEWNS) != 0) return false;
    return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("tmpfs", "/proc", "tmpfs", MS_RDONLY, nullptr) == 0;
}

/// The exit code of a child that does this.
int exit_code_of(const std::function<void()>& live) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(kSecondsMax);
        live();
        ::_exit(99);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void become(const char* verb, const std::filesystem::path& directory) {
    ::execl(HOMEWARD_RUN_HOLDER, "run_holder", verb, directory.c_str(), nullptr);
}

struct Family {
    bool parent_becomes_program = false;  ///< which adopts the run, as an upgrade does
    bool child_becomes_program = false;
};

/// A parent that holds the run and has a child; both live until they are killed. Writes a byte to
/// `ready` once the parent holds it, and the child's pid before that.
[[noreturn]] void live_as_parent(const TempDir& dir, const RunIdentity& identity, Family family,
                                 int ready) {
    ::alarm(kSecondsMax);
    const auto run = Run::create(dir / "spool", identity);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(kSecondsMax);
        if (family.child_becomes_program) ::execlp("sleep", "sleep", "1000", nullptr);
        for (;;) ::pause();
    }
    if (::write(ready, &child, sizeof child) != sizeof child) ::_exit(1);
    if (family.parent_becomes_program) {
        ::dup2(ready, STDOUT_FILENO);
        become("hold", run->directory());
        ::_exit(2);
    }
    if (::write(ready, "+", 1) != 1) ::_exit(1);
    for (;;) ::pause();
}

void kill_parent_before_child(Family family) {
    INFO("parent becomes a program: " << family.parent_becomes_program
                                      << ", child: " << family.child_becomes_program);
    const TempDir dir;
    const RunIdentity identity = identity_in(dir);
    const auto directory = dir / "spool" / identity.publisher.hex();
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t parent = ::fork();
    if (parent == 0) live_as_parent(dir, identity, family, ends[1]);
    ::close(ends[1]);
    pid_t child = -1;
    REQUIRE(::read(ends[0], &child, sizeof child) == sizeof child);
    char byte = 0;
    CHECK(::read(ends[0], &byte, 1) == 1);
    CHECK(Run::inspect(directory).finding == Run::Finding::alive);
    CHECK(Run::adopt(directory).finding == Run::Finding::alive);
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
    CHECK(Run::inspect(directory).finding == Run::Finding::left);
    CHECK(Run::adopt(directory).finding == Run::Finding::left);
    CHECK(::kill(child, SIGKILL) == 0);  // it lived all the time
    ::close(ends[0]);
}

}  // namespace

TEST_CASE("the program that a process becomes by exec takes what the one before has left") {
    const TempDir dir;
    const RunIdentity identity = identity_in(dir);
    bool proc_is_hidden = false;
    SECTION("with /proc") {}
    SECTION("without /proc") {
        proc_is_hidden = true;
    }
    const int code = exit_code_of([&] {
        if (proc_is_hidden && !hide_proc()) ::_exit(77);
        const auto run = Run::create(dir / "spool", identity);
        // Its own run is taken as long as the program lives.
        if (Run::adopt(run->directory()).finding != Run::Finding::alive) ::_exit(98);
        become("adopt", run->directory());
    });
    if (code == 77) return skip("no mount namespace is allowed here");
    CHECK(code == 0);
}

TEST_CASE("a second program takes nothing while the first lives under another pid") {
    const TempDir dir;
    const auto run = Run::create(dir / "spool", identity_in(dir));
    CHECK(exit_code_of([&] { become("adopt", run->directory()); }) == 1);
    CHECK(exit_code_of([&] {
              // A forked child that lets go of its copy releases nothing.
              if (Run::adopt(run->directory()).finding != Run::Finding::alive) ::_exit(98);
              ::_exit(0);
          }) == 0);
    CHECK(exit_code_of([&] { become("adopt", run->directory()); }) == 1);
}

TEST_CASE("a killed parent's run is free at once, although its children live") {
    for (const bool parent_becomes_program : {false, true}) {
        for (const bool child_becomes_program : {false, true}) {
            kill_parent_before_child({parent_becomes_program, child_becomes_program});
        }
    }
}
