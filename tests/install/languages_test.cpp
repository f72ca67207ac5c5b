// What is installed, as C and Ruby use it, against real servers.

#include <cstdlib>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// The build, installed into a private prefix.
class Prefix {
  public:
    explicit Prefix(const fs::path& path) : path_(path) {
        for (const char* component : {"dev", "lib", "forwardlib", "publisher"}) {
            const CommandResult made = run_command({"cmake", "--install", HOMEWARD_BUILD_DIR,
                                                    "--prefix", path, "--component", component});
            INFO(made.output);
            REQUIRE(made.exit_code == 0);
        }
    }

    fs::path operator/(const std::string& name) const { return path_ / name; }
    /// The file or folder of that name, wherever this system's layout puts it.
    fs::path find(const std::string& name) const {
        for (const auto& entry : fs::recursive_directory_iterator(path_)) {
            if (entry.path().filename() == name) return entry.path();
        }
        throw std::runtime_error(name + " was not installed");
    }

  private:
    fs::path path_;
};

std::string sanitizer_flags() {
    const char* flags = std::getenv("HOMEWARD_TEST_CXX_FLAGS");
    return flags == nullptr ? "" : flags;
}

CommandResult shell(const std::string& script, const std::map<std::string, std::string>& more) {
    ProcessOptions options;
    options.environment = more;
    return run_command({"bash", "-euc", script}, options, 120s);
}

void expect_whole(Bridge& bridge) {
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
}

std::int64_t audits(Bridge& bridge, const std::string& condition) {
    return bridge.leader().number("SELECT count(*) FROM audit_events WHERE " + condition);
}

void expect_c_to_work(Bridge& bridge, const Prefix& prefix) {
    const CommandResult built = shell(
        "cc -std=c11 -Wall -Wextra -Wpedantic -Werror $FLAGS \"$EXAMPLE\" -o \"$OUT\" "
        "$(pkg-config --cflags --libs homeward)",
        {{"FLAGS", sanitizer_flags()},
         {"EXAMPLE", HOMEWARD_SOURCE_DIR "/publisher/examples/emit.c"},
         {"OUT", bridge.dir() / "emit"},
         {"PKG_CONFIG_PATH", prefix.find("pkgconfig")}});
    INFO(built.output);
    REQUIRE(built.exit_code == 0);
    const CommandResult ran =
        shell("\"$PROGRAM\"", {{"PROGRAM", bridge.dir() / "emit"},
                               {"NATS_URL", bridge.leaf().url()},
                               {"SPOOL_DIR", bridge.dir() / "spool"},
                               {"LD_LIBRARY_PATH", prefix.find("libhomeward.so").parent_path()}});
    INFO(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(ran.output.find("audit=105 metric=1 left=0") != std::string::npos);

    expect_whole(bridge);
    CHECK(audits(bridge, "action = 'order.view' AND detail->>'via' = 'C'") == 100);
    CHECK(audits(bridge, "action = 'order.place'") == 5);
    CHECK(bridge.leader().number("SELECT count(*) FROM metric_events WHERE value = 10") == 1);
}

void expect_ruby_to_work(Bridge& bridge, const Prefix& prefix) {
    const CommandResult ran =
        shell("ruby -w -I \"$LIB\" \"$SCRIPT\"",
              {{"LIB", prefix.find("homeward.rb").parent_path()},
               {"SCRIPT", HOMEWARD_SOURCE_DIR "/tests/install/forking_app.rb"},
               {"NATS_URL", bridge.leaf().url()},
               {"SPOOL_DIR", bridge.dir() / "spool"},
               {"HOMEWARD_LIBRARY", prefix.find("libhomeward.so.0")}});
    INFO(ran.output);
    CHECK(ran.exit_code == 0);

    expect_whole(bridge);
    CHECK(audits(bridge, "actor = 'ruby' AND action = 'order.view'") == 1000);
    CHECK(audits(bridge, "actor = 'ruby worker'") == 300);
    CHECK(audits(bridge, "actor = 'ruby' AND action = 'request.local'") == 10);
    CHECK(audits(bridge, "actor = 'ruby' AND action = 'request.failed'") == 1);
    CHECK(audits(bridge, "actor = 'ruby' AND action = 'request.replayed'") == 0);
    CHECK(audits(bridge,
                 "actor = 'ruby' AND action = 'order.old' AND "
                 "time = '2026-01-02 03:04:05.678901+00'") == 1);
    CHECK(audits(bridge, "actor = 'ruby' AND action = 'order.wait'") == 1);
}

}  // namespace

TEST_CASE("C and Ruby apps emit through the installed library, each event one row") {
    Bridge bridge;
    const Prefix prefix(bridge.dir() / "prefix");
    bridge.start_consumer();
    expect_c_to_work(bridge, prefix);
    if (sanitizer_flags().empty()) {
        expect_ruby_to_work(bridge, prefix);
    } else {
        WARN("an interpreter that is not sanitized cannot load a sanitized library: no Ruby");
    }
}

TEST_CASE("each shared library shows nothing but its ABI") {
    const TempDir dir;
    const Prefix prefix(dir / "prefix");
    const struct {
        const char* library;
        std::vector<const char*> headers;
        const char* function;
    } libraries[] = {
        {"libhomeward.so.0",
         {"homeward.h", "homeward_values.h", "homeward_metrics.h", "homeward_replay.h",
          "homeward_forward.h"},
         "homeward_client_call"},
        {"libhomeward-forward-server.so.0",
         {"homeward_forward_server.h"},
         "homeward_forward_server_next"},
    };
    for (const auto& one : libraries) {
        const CommandResult shown = shell(
            "nm -D --defined-only \"$LIBRARY\" | awk '{print $NF}' | "
            "grep -v '^HOMEWARD_1$' | sed 's/@@HOMEWARD_1$//' | sort",
            {{"LIBRARY", prefix.find(one.library)}});
        std::string headers;
        for (const char* header : one.headers) headers += prefix.find(header).string() + " ";
        const CommandResult declared = shell(
            "grep -hvE '^ \\*' $HEADERS | grep -ohE '\\bhomeward_[a-z_]+\\(' | tr -d '(' | "
            "sort -u | grep -vxF \"$(sed -n 's/^static inline homeward_value "
            "\\([a-z_]*\\).*/\\1/p' "
            "\"$VALUES_HEADER\")\"",
            {{"HEADERS", headers}, {"VALUES_HEADER", prefix.find("homeward_values.h")}});
        CHECK(declared.output.find(std::string(one.function) + "\n") != std::string::npos);
        CHECK(shown.output == declared.output);
    }
}

TEST_CASE("only the library of the calls' server needs PostgreSQL, and a C app links both") {
    const TempDir dir;
    const Prefix prefix(dir / "prefix");
    const auto needed = [&](const std::string& library) {
        return shell("readelf -d \"$LIBRARY\" | grep NEEDED", {{"LIBRARY", prefix.find(library)}})
            .output;
    };
    CHECK(needed("libhomeward.so.0").find("pq") == std::string::npos);
    CHECK(needed("libhomeward-forward-server.so.0").find("libpqxx") != std::string::npos);
    const CommandResult built = shell(
        "cc -std=c11 -Wall -Wextra -Wpedantic -Werror $FLAGS \"$PROGRAM\" -o \"$OUT\" "
        "$(pkg-config --cflags --libs homeward homeward-forward-server-c) -lpthread && "
        "LD_LIBRARY_PATH=\"$LIBS\" \"$OUT\" serve nats://127.0.0.1:1 '' push",
        {{"FLAGS", sanitizer_flags()},
         {"PROGRAM", HOMEWARD_SOURCE_DIR "/tests/publisher/forward/bindings/order_program.c"},
         {"OUT", dir / "program"},
         {"LIBS", prefix.find("libhomeward.so").parent_path()},
         {"PKG_CONFIG_PATH", prefix.find("pkgconfig")}});
    // It runs, and refuses an empty database_url.
    CHECK(built.output == "new: forwarded calls: no database_url\n");
}
