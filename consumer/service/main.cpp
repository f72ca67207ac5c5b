// homeward-consumer: from the streams of every region into the leader.

#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "consumer/base/command.hpp"
#include "consumer/base/config.hpp"
#include "consumer/base/log_format.hpp"
#include "consumer/ledger/leader_fence.hpp"
#include "consumer/nats/stream.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/postgres/table_names.hpp"
#include "consumer/repair/conflict_command.hpp"
#include "consumer/repair/dead_letter_command.hpp"
#include "consumer/repair/erase_command.hpp"
#include "consumer/repair/proof_command.hpp"
#include "consumer/repair/repack_command.hpp"
#include "consumer/service/backfill.hpp"
#include "consumer/service/check.hpp"
#include "consumer/service/service.hpp"
#include "consumer/tune/tune.hpp"
#include "schemas/cli/options.hpp"

namespace {

using namespace homeward::consumer;
namespace cli = homeward::cli;
using namespace std::chrono_literals;

constexpr const char* kSummary =
    R"(commits events from NATS JetStream to the PostgreSQL leader, exactly once

Every setting section.key of the configuration is overridden by the environment variable
HOMEWARD_SECTION_KEY, and the regions by HOMEWARD_SOURCES=region[@domain][:replicas],...)";

constexpr const char* kExitStatus =
    "Exit status: 0: success; 1: the check, proof or change found something wrong, as each command "
    "says; 2: wrong usage or configuration.";

constexpr const char* kApply = R"(create what is missing and change what differs

Nothing is deleted.)";

/// How this process was called.
struct Invocation {
    std::string program;
    std::string config_file;
    std::string env_file;
};

int show_lines(const std::vector<std::string>& lines, const char* nothing) {
    for (const std::string& line : lines) std::printf("%s\n", line.c_str());
    if (lines.empty()) std::printf("%s\n", nothing);
    return 0;
}

int maintain_streams(const Config& config, bool applies) {
    NatsConnection nats(config.nats, 5s, [](std::string_view) {});
    return show_lines(applies ? apply_streams(nats, config) : plan_streams(nats, config),
                      "all streams and durables are there");
}

int maintain_schema(const Config& config, bool applies) {
    PgConnection leader(config.postgres.owner_url, config.postgres);
    // Also when nothing is missing, as whoever made all of it may be a stranger.
    refuse_other_schema_owner(leader);
    Schema schema(leader, config);
    const auto types = known_event_types(config);
    std::vector<std::string> statements = schema.plan(types);
    if (applies) schema.apply(types);
    for (std::string& statement : statements) statement += ";\n";
    return show_lines(statements, "the ledger and all event tables are up to date");
}

int accept_leader(const Config& config) {
    const PgConnection leader(config.postgres.url, config.postgres);
    NatsConnection nats(config.nats, 5s, [](std::string_view) {});
    LeaderFence(nats, streams_of(config)).accept(leader.identity());
    std::printf("accepted: PostgreSQL %s, timeline %lld\n", leader.identity().system.c_str(),
                static_cast<long long>(leader.identity().timeline));
    return 0;
}

/// A name as a shell takes it.
std::string shell_word(const std::string& text) {
    const bool is_plain = text.find_first_of(" \t\n'\"\\$`*?[]<>|&;()#~") == std::string::npos;
    if (is_plain && !text.empty()) return text;
    std::string quoted = "'";
    for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + "'";
}

/// As a shell in any directory takes it.
std::string shell_path(const std::string& path) {
    std::error_code error;
    const auto absolute = std::filesystem::absolute(path, error);
    return shell_word(error ? path : absolute.lexically_normal().string());
}

/// Whether a shell finds by name what stands in `directory`.
bool is_in_path(const std::filesystem::path& directory) {
    const char* const path = std::getenv("PATH");
    std::istringstream directories(path == nullptr ? "" : path);
    for (std::string one; std::getline(directories, one, ':');) {
        if (std::filesystem::path(one) == directory) return true;
    }
    return false;
}

/// The program with the options that this process was given.
std::string command_of(const Invocation& invocation) {
    const std::filesystem::path program(invocation.program);
    const bool is_found = !program.has_parent_path() || is_in_path(program.parent_path());
    std::string command = is_found ? "homeward-consumer" : shell_path(invocation.program);
    if (!invocation.config_file.empty())
        command += " --config " + shell_path(invocation.config_file);
    if (!invocation.env_file.empty()) command += " --env-file " + shell_path(invocation.env_file);
    return command;
}

/// Where the Debian package puts it; empty when it is not there, or not for us to see.
std::string default_config_file() {
    constexpr const char* kFile = "/etc/homeward/consumer.toml";
    std::error_code error;
    return std::filesystem::exists(kFile, error) ? kFile : "";
}

std::string config_file_of(const Invocation& invocation) {
    return invocation.config_file.empty() ? default_config_file() : invocation.config_file;
}

void add_plan_and_apply(const Commands& commands, const char* name, const char* description,
                        const char* plan, int (*maintain)(const Config&, bool applies)) {
    const Commands group = add_command_group(commands, name, description);
    add_command(group, "plan", plan,
                [maintain](const Config& one) { return maintain(one, false); });
    add_command(group, "apply", kApply,
                [maintain](const Config& one) { return maintain(one, true); });
}

void add_commands(const Commands& commands, const Invocation& invocation) {
    add_command(commands, "run", "consume until SIGTERM\n\nSIGHUP reloads the settings in [batch].",
                [&invocation](const Config& config) {
                    for (const std::string& one : config.warnings) spdlog::warn("{}", one);
                    return run_service(config, config_file_of(invocation));
                });
    add_command(commands, "check", "test the configuration against the live NATS and PostgreSQL",
                [](const Config& config) { return run_check(config) == 0 ? 0 : 1; });
    add_plan_and_apply(commands, "streams", "show or make the streams and durables in NATS",
                       "show which streams and durables are missing or differ", maintain_streams);
    add_plan_and_apply(commands, "schema", "show or run the DDL of the ledger and the event tables",
                       "show the DDL that is due", maintain_schema);
    add_command(add_command_group(commands, "leader", "accept a leader that run refuses"), "accept",
                "accept the current leader\n\n"
                "Also if it lacks what was acknowledged, as after a restore. Until then run and "
                "other commands refuse such a leader.",
                accept_leader);
    add_proof_commands(commands);
    add_dead_letter_commands(commands);
    add_conflict_commands(commands);
    add_erase_command(commands);
    add_repack_command(commands);
    add_backfill_command(commands);
    add_tune_command(commands);
}

void add_common_options(CLI::App& app, Invocation& invocation) {
    const auto add_to = [&invocation](CLI::App& command) {
        command.option_defaults()->group("Common options");
        cli::add_text(command, "-c,--config", "FILE", invocation.config_file,
                      "TOML file (default: /etc/homeward/consumer.toml, if it exists)");
        cli::add_text(command, "-e,--env-file", "FILE", invocation.env_file,
                      "lines NAME=value, for variables that the environment does not have; may "
                      "contain secrets, as /etc/homeward/consumer.env of the systemd unit");
    };
    cli::for_each_command(app, add_to);
}

int run_command(const Command& command, const Invocation& invocation) {
    if (!invocation.env_file.empty()) read_env_file(invocation.env_file);
    Config config = load_config(config_file_of(invocation));
    config.command = command_of(invocation);
    spdlog::set_level(spdlog::level::from_str(config.log.level));
    set_log_format(config.log.format, config.command);
    return command(config);
}

int run(int argc, char** argv) {
    Invocation invocation;
    if (argc > 0) invocation.program = argv[0];
    Command command;
    cli::CommandLine line("homeward-consumer", kSummary, HOMEWARD_VERSION);
    line.app().require_subcommand(1);
    add_commands({line.app(), command}, invocation);
    add_common_options(line.app(), invocation);
    line.app().footer(kExitStatus);
    if (const auto status = line.parse(argc, argv)) return *status;
    const auto say = [&invocation](const std::string& what) {
        std::fprintf(stderr, "homeward-consumer: %s\n",
                     runnable(what, command_of(invocation)).c_str());
    };
    try {
        return run_command(command, invocation);
    } catch (const UsageError& error) {
        return line.report(error);
    } catch (const LeaderError& error) {
        say(std::string("PostgreSQL: ") + error.what() + " [" + error.sqlstate() + "]");
    } catch (const std::exception& error) {
        say(error.what());
    }
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "homeward-consumer: %s\n", error.what());
    }
    return 2;
}
