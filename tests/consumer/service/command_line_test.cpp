// What homeward-consumer says to a command line that it does not understand, before it reads any
// configuration; help of every command; and the deprecated name of `backfill`.

#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace homeward::testing;
using Catch::Matchers::Contains;

namespace {

CommandResult consumer(std::vector<std::string> words) {
    words.insert(words.begin(), HOMEWARD_CONSUMER_PROGRAM);
    return run_command(words);
}

const std::vector<std::vector<std::string>> kCommands{
    {"run"},
    {"check"},
    {"streams", "plan"},
    {"streams", "apply"},
    {"schema", "plan"},
    {"schema", "apply"},
    {"leader", "accept"},
    {"proof"},
    {"proof", "abandon"},
    {"dead-letters", "list"},
    {"dead-letters", "sources"},
    {"dead-letters", "show"},
    {"dead-letters", "redrive"},
    {"dead-letters", "discard"},
    {"conflicts", "list"},
    {"conflicts", "show"},
    {"conflicts", "accept"},
    {"conflicts", "discard"},
    {"erase"},
    {"repack"},
    {"backfill"},
    {"tune"},
    // A deprecated name.
    {"replay"},
};

}  // namespace

TEST_CASE("every command has its own help, by -h and --help, and takes the common options") {
    for (std::vector<std::string> words : kCommands) {
        std::string path = "homeward-consumer";
        for (const std::string& word : words) path += " " + word;
        words.push_back("--help");
        const CommandResult help = consumer(words);
        INFO(path << "\n" << help.output);
        CHECK(help.exit_code == 0);
        CHECK_THAT(help.output, Contains(path + " - ") && Contains("Usage: " + path) &&
                                    Contains("-c, --config FILE") && Contains("-h, --help"));
        words.back() = "-h";
        CHECK(consumer(words).output == help.output);
    }
    CHECK_THAT(consumer({"tune", "-h"}).output,
               Contains("(default: 120)") && Contains("(default: 1000,5000,20000)"));
    CHECK_THAT(consumer({"dead-letters", "list", "-h"}).output,
               Contains("--state open|parked|redriven|discarded|all"));
    CHECK_THAT(consumer({"--help"}).output, !Contains("replay"));
}

TEST_CASE("help is printed also beside a mistake, and the version is the program's") {
    CHECK(consumer({"dead-letters", "show", "one", "--help"}).exit_code == 0);
    CHECK(consumer({"erase", "--tpye", "-h"}).exit_code == 0);
    const CommandResult version = consumer({"-V"});
    CHECK(version.exit_code == 0);
    CHECK_THAT(version.output, Contains("homeward-consumer "));
    CHECK(consumer({"--version"}).output == version.output);
}

TEST_CASE("a mistake in a command line is named, with what was meant, and exits with 2") {
    struct Mistake {
        std::vector<std::string> words;
        std::string said;
        std::string hint;
    };
    for (const auto& [words, said, hint] : std::vector<Mistake>{
             {{}, "a command is missing; expected run, check,", ""},
             {{"--config"}, "--config needs a value", ""},
             {{"chekc"}, "unknown command chekc; did you mean check?", ""},
             {{"frobnicate"}, "unknown command frobnicate\n", ""},
             {{"--colour", "check"}, "unknown option --colour\n", " check"},
             {{"streams"}, "a command is missing; expected plan, apply", " streams"},
             {{"streams", "aply"}, "unknown command aply; did you mean apply?", " streams"},
             {{"run", "check"}, "unexpected argument check", " run"},
             {{"erase", "--tpye", "audit"},
              "unknown option --tpye; did you mean --type?",
              " erase"},
             {{"erase", "--type"}, "--type needs a value", " erase"},
             {{"erase", "--where", "a=b"}, "--type is required", " erase"},
             {{"erase", "-t", "audit"}, "--where is required", " erase"},
             {{"erase", "-t", "audit", "--where", "actor"},
              "--where: expected field=value, not \"actor\"",
              " erase"},
             {{"dead-letters", "list", "--limit", "few"},
              "--limit: expected a whole number, not \"few\"",
              " dead-letters list"},
             {{"dead-letters", "list", "--state", "lost"},
              "--state: expected open, parked, redriven, discarded or all, not \"lost\"",
              " dead-letters list"},
             {{"dead-letters", "show", "1", "two"},
              "NUMBER: expected a whole number, not \"two\"",
              " dead-letters show"},
             {{"dead-letters", "redrive"},
              "needs numbers, a filter, or --all",
              " dead-letters redrive"},
             {{"conflicts", "accept", "--state", "open"}, "or --all", " conflicts accept"},
             // What would have been ignored before.
             {{"dead-letters", "discard", "--all", "--limit", "5"},
              "unknown option --limit",
              " dead-letters discard"},
             {{"proof", "--wait", "tomorrow"}, "from 0 to 86400, not \"tomorrow\"", " proof"},
             {{"proof", "abandon"}, "ORIGIN is required", " proof abandon"},
             {{"proof", "--json", "abandon", "1"},
              "--json is not an option of proof abandon",
              " proof abandon"},
             {{"backfill"}, "--since is required", " backfill"},
             {{"backfill", "--since", "yesterday"},
              "--since: expected a time such as 2026-11-24T10:00:00Z, not \"yesterday\"",
              " backfill"},
             {{"tune", "--rows", "1,many"},
              "--rows: expected a whole number from 1 to 1000000, not \"many\"",
              " tune"},
             {{"tune", "--seconds", "1"}, "from 2 to 3600, not \"1\"", " tune"}}) {
        const CommandResult result = consumer(words);
        INFO(result.output);
        CHECK(result.exit_code == 2);
        CHECK_THAT(result.output,
                   Contains(said) && Contains("Try 'homeward-consumer" + hint + " --help'."));
    }
}

TEST_CASE("the old name of backfill works, and says the new one") {
    const CommandResult old = consumer({"replay", "--since", "yesterday"});
    CHECK_THAT(old.output, Contains("homeward-consumer: replay is deprecated; use backfill"));
    CHECK_THAT(old.output, Contains("--since: expected a time"));
    CHECK_THAT(consumer({"backfill", "--since", "yesterday"}).output, !Contains("deprecated"));
}

TEST_CASE("the common options stand before or after the command, and the last one counts") {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"--config", "/nowhere/a.toml", "check"},
             {"check", "--config", "/nowhere/a.toml"},
             {"check", "-c", "/nowhere/a.toml"},
             {"streams", "plan", "--config=/nowhere/a.toml"},
             {"streams", "--config", "/nowhere/a.toml", "plan"},
             {"proof", "--config", "/nowhere/b.toml", "--config", "/nowhere/a.toml"}}) {
        const CommandResult result = consumer(words);
        INFO(result.output);
        CHECK(result.exit_code == 2);
        CHECK_THAT(result.output, Contains("/nowhere/a.toml"));
    }
}
