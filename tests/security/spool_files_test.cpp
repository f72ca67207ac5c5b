// A spool and a lane directory between neighbours: fixed modes, nothing but regular files, and a
// place that nobody else can take in advance. And limits of the process.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include <homeward/publisher.hpp>

#include "publisher/buffer/frame_log.hpp"
#include "publisher/spool/find_runs.hpp"
#include "publisher/spool/run.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

constexpr uid_t kStranger = 65534;
constexpr uid_t kAppUser = 65533;
/// Whoever waits for a FIFO is killed by this.
constexpr unsigned kSecondsMax = 60;

RunIdentity identity_with(const std::filesystem::path& lane_dir) {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = "ams";
    identity.app = "shop";
    identity.lane_dir = lane_dir;
    return identity;
}

unsigned mode_of(const std::filesystem::path& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

/// Where a run that lives in `place` has put its lanes.
std::filesystem::path lane_dir_of(const std::filesystem::path& spool,
                                  const std::filesystem::path& lane_dir) {
    const auto run = Run::create(spool, identity_with(lane_dir));
    run->create_lane_file(0);
    CHECK(mode_of(run->identity().lane_dir) == 0700);
    CHECK(Run::inspect(run->directory()).run->identity().lane_dir == run->identity().lane_dir);
    auto where = run->identity().lane_dir;
    run->remove();
    CHECK(std::filesystem::exists(where) == false);
    return where;
}

/// A run of a process that is gone; returns its directory.
std::filesystem::path leave_run(const std::filesystem::path& spool,
                                const std::filesystem::path& lane_dir) {
    const auto run = Run::create(spool, identity_with(lane_dir));
    run->create_lane_file(0);
    const FrameLog log(run->log_directory(EventClass::audit), 64u << 20, false);
    return run->directory();
}

PublisherOptions options_for(const std::filesystem::path& spool) {
    PublisherOptions options;
    options.region = "ams";
    options.app = "shop";
    options.nats_urls = {"nats://127.0.0.1:1"};
    options.spool_dir = spool;
    return options;
}

int exit_code_of(const std::function<void()>& live) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(kSecondsMax);
        live();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The same of a process of the app's user; 3 for a SetupError.
int exit_code_of_app(const std::function<void()>& live) {
    return exit_code_of([&] {
        if (::setgid(kAppUser) != 0 || ::setuid(kAppUser) != 0) ::_exit(90);
        try {
            live();
        } catch (const SetupError&) {
            ::_exit(3);
        }
    });
}

/// A directory that everybody may pass and write in.
std::filesystem::path open_directory(const std::filesystem::path& path, uid_t owner, gid_t group) {
    std::filesystem::create_directory(path);
    ::chmod(path.parent_path().c_str(), 0755);
    ::chmod(path.c_str(), 0777);
    REQUIRE(::chown(path.c_str(), owner, group) == 0);
    return path;
}

}  // namespace

TEST_CASE("directories and files of a spool have fixed modes, whatever the umask") {
    for (const mode_t umask : {0000, 0022, 0277, 0777}) {
        INFO("umask " << std::oct << umask);
        const TempDir dir;
        const mode_t before = ::umask(umask);
        std::filesystem::path directory;
        CHECK_NOTHROW(directory = leave_run(dir / "spool", dir / "lanes"));
        ::umask(before);
        REQUIRE_FALSE(directory.empty());
        for (const auto& path : {dir / "spool", dir / "lanes", directory, directory / "audit"}) {
            CHECK(mode_of(path) == 0700);
        }
        for (const char* name : {"lock", "run.json", "types.jsonl"}) {
            CHECK(mode_of(directory / name) == 0600);
        }
        CHECK(mode_of(dir / "lanes" / directory.filename().string() / "lane-0") == 0600);
    }
}

TEST_CASE("a spool directory that is there keeps its mode") {
    const TempDir dir;
    std::filesystem::create_directory(dir / "spool");
    ::chmod((dir / "spool").c_str(), 0750);
    leave_run(dir / "spool", dir / "lanes");
    CHECK(mode_of(dir / "spool") == 0750);
}

TEST_CASE("lanes are in a directory that is ours alone, whoever has taken its name") {
    const TempDir dir;
    const auto wanted = private_directory_in(dir.path());
    CHECK(lane_dir_of(dir / "spool", wanted) == wanted);
    SECTION("others may write there") {
        std::filesystem::create_directory(wanted);
        ::chmod(wanted.c_str(), 0777);
    }
    SECTION("it is a link") {
        std::filesystem::create_directory(dir / "elsewhere");
        std::filesystem::create_symlink(dir / "elsewhere", wanted);
    }
    SECTION("it is a file") {
        std::ofstream(wanted) << "\n";
    }
    SECTION("a stranger has made it") {
        std::filesystem::create_directory(wanted);
        if (::chown(wanted.c_str(), kStranger, kStranger) != 0) return skip("needs root");
    }
    const auto first = lane_dir_of(dir / "spool", wanted);
    const auto second = lane_dir_of(dir / "spool", wanted);
    CHECK(first != wanted);
    CHECK(first != second);
    CHECK(first.parent_path() == wanted.parent_path());
    CHECK(is_private_directory(first));
}

TEST_CASE("an app whose lane directory is taken starts, and says where its lanes are") {
    const TempDir dir;
    const auto wanted = private_directory_in(dir.path());
    std::filesystem::create_directory(wanted);
    ::chmod(wanted.c_str(), 0777);
    auto options = options_for(dir / "spool");
    options.lane_dir = wanted;
    std::string said;
    options.on_log = [&](std::string_view line) { said += std::string(line) + "\n"; };
    {
        Publisher publisher(options);
        CHECK(publisher.emit_json(
                  "audit", EventClass::audit,
                  R"({"actor":"a","action":"b","resource":"c","outcome":"allowed"})") ==
              EmitResult::accepted);
    }
    CHECK(said.find(wanted.string() + " is not a directory of this user alone") !=
          std::string::npos);
}

TEST_CASE("only a directory named after a user is taken for a private one") {
    CHECK(is_private_directory("/dev/shm/homeward-0"));
    CHECK(is_private_directory("/dev/shm/homeward-1000-0123456789abcdef0123456789abcdef"));
    for (const char* other : {"/srv/homeward", "/srv/homeward-", "/srv/homeward-cafe",
                              "/srv/homeward-1000x", "/srv/homeward-1000-lanes"}) {
        INFO(other);
        CHECK_FALSE(is_private_directory(other));
    }
}

TEST_CASE("a FIFO, a link or a directory in the place of a file stops neither start nor inspect") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    for (const char* name : {"run.json", "types.jsonl", "lock", "audit/log-00000001", "lane-0"}) {
        for (const char* kind : {"fifo", "link", "directory"}) {
            INFO(name << " is a " << kind);
            const TempDir dir;
            const auto directory = leave_run(dir / "spool", dir / "lanes");
            const auto path = std::string_view(name) == "lane-0"
                                  ? dir / "lanes" / directory.filename().string() / name
                                  : directory / name;
            std::filesystem::remove(path);
            std::ofstream(dir / "target") << "precious";
            if (std::string_view(kind) == "fifo") REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
            if (std::string_view(kind) == "link") {
                std::filesystem::create_symlink(dir / "target", path);
            }
            if (std::string_view(kind) == "directory") std::filesystem::create_directory(path);
            CHECK(exit_code_of([&] {
                      std::size_t damaged = 0;
                      Run::inspect(directory);
                      auto found = Run::adopt(directory);
                      if (found.run != nullptr) found.run->open_lanes(damaged);
                      found.run.reset();
                      Publisher publisher(options_for(dir / "spool"));
                      publisher.close(0ms);
                  }) == 0);
            CHECK(read_file(dir / "target") == "precious");
        }
    }
}

TEST_CASE("a link in the place of a run's directory is no run") {
    const TempDir dir;
    const auto directory = leave_run(dir / "elsewhere", dir / "lanes");
    std::filesystem::create_directory(dir / "spool");
    std::filesystem::create_directory_symlink(directory,
                                              dir / "spool" / directory.filename().string());
    CHECK(find_runs(dir / "spool", &Run::adopt).empty());
}

TEST_CASE("nobody sends what a stranger has put into a spool of everybody's") {
    if (::geteuid() != 0) return skip("only root can give files away");
    const TempDir dir;
    const auto directory = leave_run(dir / "spool", dir / "lanes");
    ::chown(directory.c_str(), kStranger, kStranger);
    const auto found = Run::adopt(directory);
    CHECK(found.finding == Run::Finding::unreadable);
    CHECK(explain(found).find("Check whose files") != std::string::npos);
    // Root drains another user's spool as a whole, and nobody else does, whatever its modes.
    ::chown((dir / "spool").c_str(), kStranger, kStranger);
    CHECK(Run::adopt(directory).finding == Run::Finding::left);
    ::chmod(dir.path().c_str(), 0755);
    for (const auto& path : std::filesystem::recursive_directory_iterator(dir.path())) {
        std::filesystem::permissions(path, std::filesystem::perms::all);
    }
    CHECK(exit_code_of_app([&] {
              if (Run::adopt(directory).finding != Run::Finding::unreadable) ::_exit(1);
          }) == 0);
}

TEST_CASE("a spool directory that a stranger has made is refused") {
    if (::geteuid() != 0) {
        WARN("not tried: only root can give files away");
        return;
    }
    const TempDir dir;
    std::filesystem::path spool;
    SECTION("it is a directory") {
        spool = open_directory(dir / "spool", kStranger, kStranger);
    }
    SECTION("it is a link to a directory of ours") {
        open_directory(dir / "ours", 0, 0);
        spool = dir / "spool";
        std::filesystem::create_directory_symlink(dir / "ours", spool);
        ::lchown(spool.c_str(), kStranger, kStranger);
    }
    CHECK_THROWS_WITH(Publisher(options_for(spool)),
                      Contains("belongs to user 65534") && Contains("name another directory"));
    CHECK(exit_code_of_app([&] { Publisher publisher(options_for(spool)); }) == 3);
    CHECK(std::filesystem::is_empty(spool));
}

TEST_CASE(
    "a spool directory of root's, as a container's volume is, serves whoever may write in it") {
    if (::geteuid() != 0 || !kCanForkThreads) {
        WARN("not tried: needs root, and no sanitizer is fit for threads in a forked child");
        return;
    }
    const TempDir dir;
    const auto spool = open_directory(dir / "spool", 0, kAppUser);
    ::chmod(spool.c_str(), 0770);
    CHECK(exit_code_of_app([&] {
              auto options = options_for(spool);
              options.lane_dir = spool / "lanes";
              Publisher publisher(options);
              publisher.close(0ms);
          }) == 0);
    CHECK_FALSE(find_runs(spool, &Run::inspect).empty());
}

TEST_CASE("RLIMIT_FSIZE below a segment is an error at open, and never a signal") {
    const TempDir dir;
    const std::string said_in = dir / "said";
    for (const char* spool : {"spool", ""}) {
        const int code = exit_code_of([&] {
            const rlimit limit{1u << 20, 1u << 20};
            ::setrlimit(RLIMIT_FSIZE, &limit);
            try {
                Publisher publisher(
                    options_for(*spool == '\0' ? std::filesystem::path() : dir / spool));
            } catch (const SetupError& error) {
                std::ofstream(said_in) << error.what();
                ::_exit(3);
            }
        });
        CHECK(code == 3);
        CHECK(read_file(said_in).find("RLIMIT_FSIZE (ulimit -f) is 1048576 bytes") !=
              std::string::npos);
    }
    // Lowered later: an error of the disk.
    CHECK(exit_code_of([&] {
              File file = File::create(dir / "file");
              const rlimit limit{1u << 20, 1u << 20};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              const std::vector<std::byte> bytes(4096);
              if (file.allocate(2u << 20) != EFBIG) ::_exit(1);
              if (file.write_at((1u << 20) - 100, bytes) != EFBIG) ::_exit(2);
              if (file.write_at((1u << 20) - 4096, bytes) != 0) ::_exit(3);
          }) == 0);
}
