// homeward-consumer: from the streams of every region into the leader.

#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "consumer/base/command_words.hpp"
#include "consumer/base/config.hpp"
#include "consumer/base/log_format.hpp"
#include "consumer/decode/column_value.hpp"
#include "consumer/ledger/leader_fence.hpp"
#include "consumer/nats/stream.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/repair/conflict_command.hpp"
#include "consumer/repair/dead_letter_command.hpp"
#include "consumer/repair/erase_command.hpp"
#include "consumer/repair/proof_command.hpp"
#include "consumer/service/check.hpp"
#include "consumer/service/replay.hpp"
#include "consumer/service/service.hpp"
#include "consumer/tune/tune.hpp"

namespace {

using namespace homeward::consumer;
using namespace std::chrono_literals;

constexpr const char* kHelp =
    R"(homeward-consumer - commits events from NATS JetStream to the PostgreSQL leader, exactly once

  homeward-consumer [--config FILE] COMMAND

  run                    consume until SIGTERM; SIGHUP reads [batch] anew
  check                  test the configuration against the live NATS and PostgreSQL
  streams plan|apply     show or make what streams and durables lack of what the configuration
                         says; nothing is deleted
  schema plan|apply      show or run the DDL for the ledger and the event tables
  leader accept          take the leader as it is now for the right one, also if it lacks what was
                         acknowledged, as after a restore; run and all others refuse that
  proof [--json] [--wait SECONDS] [--final] [--origin ORIGIN] [--recount]
                         account for every event, per origin and in sum; names what is missing;
                         exit status 1 if anything is missing or doubled. Days that are over are
                         not read again: their rows were counted
      --wait SECONDS     until nothing is in flight and the streams are empty, or so long
      --final            nothing is under way any more: call what is in flight missing
      --origin ORIGIN    of one: by number, or all of a publisher by 8 digits or more of it
      --recount          read closed days, too, and name those whose rows are others than counted
  proof abandon ORIGIN…  what these have not delivered will never come, as a machine is lost with its
                         disk. By number, or 8 digits or more of the publisher; or a stream, whose
                         missing messages are given up; as the owner
  dead-letters list|show|redrive|discard [NUMBER…] [FILTER…] [--json]
                         events that could not become rows. redrive tries them again, with the
                         schema as it is now; exit status 1 if some still cannot. discard gives
                         them up. Both want numbers, a filter or --all
      FILTER             --type T --region R --app A --sqlstate S --reason PART --since TIME
                         --state open|parked|redriven|discarded|all (what waits: open and parked)
      --limit N          list so many, 100 without it; 0 for all
  dead-letters sources [--json]
                         whose they are: region and app, how many, the first reason and a sample
  conflicts list|show|accept|discard [NUMBER…] [FILTER…] [--json]
                         frames quarantined because they are at odds with the ledger: of another's
                         origin, or of seqs that are settled in part. accept takes one for its
                         origin's: what the ledger lacks of it lands, and what it has stays as it
                         is. discard gives one up: what the origin's own frame had and the ledger
                         lacks becomes tombstones; a stranger's leaves no trace. Both want numbers,
                         a filter or --all
      FILTER             --region R --app A (it came from) --reason PART --since TIME
                         --state open|accepted|discarded|all (what waits: open)
  erase --type T --where FIELD=VALUE… [--dry-run] [--json]
                         delete the events of a type in which all these fields have these values,
                         dead letters included; FIELD is one of the type's, or extra.KEY. As the
                         owner, some MB at a time: broken off, the same command goes on. proof counts
                         them as erased. Exit status 1 if something is left for you to look at
      --dry-run          delete nothing, and say how many

  replay --since TIME    read the streams' history again from that time on (RFC 3339), after the
                         leader was restored from a backup; its ledger decides what is missing.
                         For streams made with streams.history_hours. Exit status 1 if frames at
                         odds with the ledger were quarantined
  tune [--seconds N] [--report FILE] [--plots DIR] [--type T] [--fresh-ms N] [--load N]
       [--rows N,…] [--delays N,…] [--writers N,…]
                         measure batch settings on your leader: writes invented events for N
                         seconds (120) the way that run writes, as postgres.owner_url, into a
                         scratch schema that is dropped in any case. Touches none of your tables;
                         needs CREATE on the database and nothing else. It loads the leader, and
                         its WAL goes to standbys and archive: a few GB in 2 minutes
      --report FILE      a page with plots (homeward-tune.html); --plots: each as SVG, too
      --type T           events of which type (audit)
      --fresh-ms N       the p99 of freshness that you accept (no worse than it is now)
      --load N           events a second for what is not measured at full speed (a quarter of that)

  --env-file FILE        lines NAME=value, for what is not in the environment already; secrets may
                         lie here, as in the unit's /etc/homeward/consumer.env
  --config FILE          TOML, /etc/homeward/consumer.toml if that is there; every key section.key is overridden by HOMEWARD_SECTION_KEY, and
                         the regions by HOMEWARD_SOURCES=region[@domain][:replicas],…
  --help, --version

Exit status: 0 well; 1 the answer is no; 2 wrong usage or configuration.
)";

struct CommandLine {
    std::string program;
    std::string config_file;
    std::string env_file;
    std::vector<std::string> words;
};

int usage(const std::string& what) {
    std::fprintf(stderr, "homeward-consumer: %s\nTry 'homeward-consumer --help'.\n", what.c_str());
    return 2;
}

int show_lines(const std::vector<std::string>& lines, const char* nothing) {
    for (const std::string& line : lines) std::printf("%s\n", line.c_str());
    if (lines.empty()) std::printf("%s\n", nothing);
    return 0;
}

int maintain_streams(const Config& config, const std::string& how) {
    NatsConnection nats(config.nats, 5s, [](std::string_view) {});
    return show_lines(how == "apply" ? apply_streams(nats, config) : plan_streams(nats, config),
                      "all streams and durables are there");
}

int maintain_schema(const Config& config, const std::string& how) {
    PgConnection leader(config.postgres.owner_url, config.postgres);
    Schema schema(leader, config);
    const auto types = known_event_types(config);
    std::vector<std::string> statements = schema.plan(types);
    if (how == "apply") schema.apply(types);
    for (std::string& statement : statements) statement += ";\n";
    return show_lines(statements, "the ledger and all event tables are up to date");
}

int replay_history(const Config& config, const std::vector<std::string>& words) {
    if (words.size() != 3 || words[1] != "--since") return usage("replay wants --since TIME");
    const auto since_us = parse_rfc3339(words[2]);
    if (!since_us) return usage("\"" + words[2] + "\" is no time like 2026-11-24T10:00:00Z");
    return run_replay(config, *since_us);
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
std::string command_of(const CommandLine& line) {
    const std::filesystem::path program(line.program);
    const bool is_found = !program.has_parent_path() || is_in_path(program.parent_path());
    std::string command = is_found ? "homeward-consumer" : shell_path(line.program);
    if (!line.config_file.empty()) command += " --config " + shell_path(line.config_file);
    if (!line.env_file.empty()) command += " --env-file " + shell_path(line.env_file);
    return command;
}

/// Where the Debian package puts it; empty when it is not there, or not for us to see.
std::string default_config_file() {
    constexpr const char* kFile = "/etc/homeward/consumer.toml";
    std::error_code error;
    return std::filesystem::exists(kFile, error) ? kFile : "";
}

int dispatch(const CommandLine& line) {
    const std::string& command = line.words[0];
    const std::string how = line.words.size() > 1 ? line.words[1] : "";
    if (!line.env_file.empty()) read_env_file(line.env_file);
    const std::string file = line.config_file.empty() ? default_config_file() : line.config_file;
    Config config = load_config(file);
    config.command = command_of(line);
    spdlog::set_level(spdlog::level::from_str(config.log.level));
    set_log_format(config.log.format, config.command);
    if (command == "run") {
        for (const std::string& warning : config.warnings) spdlog::warn("{}", warning);
        return run_service(config, file);
    }
    if (command == "replay") return replay_history(config, line.words);
    if (command == "check") return run_check(config) == 0 ? 0 : 1;
    if (command == "dead-letters") {
        return run_dead_letters(config, {line.words.begin() + 1, line.words.end()});
    }
    if (command == "conflicts") {
        return run_conflicts(config, {line.words.begin() + 1, line.words.end()});
    }
    if (command == "erase") return run_erase(config, {line.words.begin() + 1, line.words.end()});
    if (command == "tune") return run_tune(config, {line.words.begin() + 1, line.words.end()});
    if (command == "proof") return run_proof(config, {line.words.begin() + 1, line.words.end()});
    if (command == "leader" && how == "accept") return accept_leader(config);
    const bool known_how = how == "plan" || how == "apply";
    if (command == "streams" && known_how) return maintain_streams(config, how);
    if (command == "schema" && known_how) return maintain_schema(config, how);
    return usage("unknown command " + command + (how.empty() ? "" : " " + how));
}

}  // namespace

int main(int argc, char** argv) {
    CommandLine line;
    if (argc > 0) line.program = argv[0];
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--help") {
            std::fputs(kHelp, stdout);
            return 0;
        }
        if (word == "--version") {
            std::puts("homeward-consumer " HOMEWARD_VERSION);
            return 0;
        }
        if (word == "--config" || word == "--env-file") {
            if (++i == argc) return usage(word + " needs a file");
            (word == "--config" ? line.config_file : line.env_file) = argv[i];
        } else {
            line.words.push_back(word);
        }
    }
    if (line.words.empty()) return usage("a command is missing");
    const auto say = [&line](const std::string& what) {
        std::fprintf(stderr, "homeward-consumer: %s\n", runnable(what, command_of(line)).c_str());
    };
    try {
        return dispatch(line);
    } catch (const UsageError& error) {
        return usage(error.what());
    } catch (const LeaderError& error) {
        say(std::string("PostgreSQL: ") + error.what() + " [" + error.sqlstate() + "]");
    } catch (const std::exception& error) {
        say(error.what());
    }
    return 2;
}
