// Forwarded calls from C and Ruby: each language's client against each language's server, through
// real NATS servers and PostgreSQL. C serves by handlers (push) and by threads of its own (pull).

#include <signal.h>

#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"

using namespace homeward;
using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

const std::string kKeys = "k1:" + std::string(64, 'a');

// A sanitized library cannot be loaded into an interpreter that is not.
#ifdef HOMEWARD_NO_RUBY
const std::vector<std::string> kServers{"push", "pull"};
const std::vector<std::string> kClients{"c"};
#else
const std::vector<std::string> kServers{"push", "pull", "ruby"};
const std::vector<std::string> kClients{"c", "ruby"};
#endif

ProcessOptions process_options() {
    ProcessOptions options;
    options.environment = {{"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
                           {"HOMEWARD_FORWARD_SERVER_LIBRARY", HOMEWARD_SERVER_LIBRARY},
                           {"RUBYLIB", HOMEWARD_RUBY_DIR},
                           {"TOKEN_KEYS", kKeys}};
    return options;
}

std::vector<std::string> script(const std::string& name) {
    return {"ruby", "-w", std::string(HOMEWARD_SCRIPTS) + "/" + name};
}

/// A server process of the operation "order.place".
class ServerProcess {
  public:
    ServerProcess(CallRegions& regions, const std::string& kind)
        : log_(regions.dir() / ("server-" + kind)) {
        std::vector<std::string> command{HOMEWARD_ORDER_PROGRAM, "serve"};
        if (kind == "ruby") command = script("order_server.rb");
        command.push_back(regions.hub().url());
        command.push_back(regions.leader().url());
        if (kind != "ruby") command.push_back(kind);
        ProcessOptions options = process_options();
        options.log = log_;
        process_ = Process(command, options);
        Client probe(regions.client_options());
        const bool is_served = wait_until(
            60s, [&] { return probe.outcome("served", 1s).outcome == Outcome::not_found; });
        if (!is_served) throw std::runtime_error("no server:\n" + log());
    }

    Process& process() { return process_; }
    std::string log() const { return read_file(log_); }

  private:
    std::filesystem::path log_;
    Process process_;
};

/// What a client process of that language says.
std::string run_client(CallRegions& regions, const std::string& language,
                       std::vector<std::string> words, ProcessOptions options = process_options()) {
    words.insert(words.begin() + 1, regions.leaf().url());
    std::vector<std::string> command{HOMEWARD_ORDER_PROGRAM};
    if (language == "ruby") command = script("order_client.rb");
    command.insert(command.end(), words.begin(), words.end());
    const CommandResult ran = run_command(command, std::move(options), 120s);
    return (ran.exit_code == 0 ? "" : "exit " + std::to_string(ran.exit_code) + ": ") + ran.output;
}

std::string call(CallRegions& regions, const std::string& language, const std::string& key,
                 const std::string& body, const std::string& deadline_ms = "20000") {
    return run_client(regions, language, {"call", "order.place", key, body, deadline_ms});
}

}  // namespace

TEST_CASE("each language's call runs once in each language's handler, and outcomes are typed") {
    CallRegions regions;
    for (const std::string& kind : kServers) {
        ServerProcess server(regions, kind);
        for (const std::string& client : kClients) {
            const std::string key = kind + "-" + client;
            INFO(key << "\n" << server.log());
            const std::string replica = client == "c" ? "1" : "0";
            CHECK(call(regions, client, key, "tea") ==
                  "ok code= stored=0 token=1 replica=" + replica +
                      ": placed tea for ams.shop by order.place\n");
            CHECK(call(regions, client, key, "tea") ==
                  "ok code= stored=1 token=1 replica=" + replica +
                      ": placed tea for ams.shop by order.place\n");
            CHECK(regions.orders(key) == 1);
            CHECK_THAT(run_client(regions, client, {"outcome", key}),
                       StartsWith("ok code= stored=1"));
            const std::string other = call(regions, client, key, "milk");
            CHECK_THAT(other, StartsWith("refused "));
            CHECK_THAT(other, Contains("was used for another body of \"order.place\""));
            CHECK_THAT(call(regions, client, key + "-values", "values"),
                       Contains(": a=it's ü;b=NULL;c=7;a=x;b=y;c=8;\n"));
            CHECK_THAT(run_client(regions, client, {"call", "order.cancel", "x", "", "5000"}),
                       StartsWith("no_responders "));
            CHECK_THAT(run_client(regions, client, {"call", "Order", "x", "", "5000"}),
                       StartsWith("refused "));
            CHECK_THAT(run_client(regions, client, {"abandon", key + "-never"}),
                       StartsWith("abandoned "));
            CHECK_THAT(call(regions, client, key + "-never", "tea"), StartsWith("abandoned "));
        }
        CHECK(server.process().stop(30s) == 0);
        CHECK_THAT(server.log(), Contains("ok "));
    }
}

TEST_CASE("a handler that fails undoes its call, and a retry gets the same failure") {
    CallRegions regions;
    struct Case {
        std::string body;
        std::string code;
        std::string text;
    };
    for (const std::string& kind : kServers) {
        ServerProcess server(regions, kind);
        std::vector<Case> cases{{"own", "out_of_stock", "no tea"},
                                {"sql", "22012", "division by zero"},
                                {"on", "transaction_aborted", "failed statement"}};
        if (kind == "ruby") {
            cases.push_back({"raise", "exception", "IndexError: the shop burns"});
            cases.push_back({"script", "exception", "NotImplementedError: not yet"});
            cases.push_back({"kill", "exception", "the handler has left its thread"});
        } else {
            cases.push_back({"nothing", "exception", "neither replied nor failed"});
        }
        for (const Case& one : cases) {
            const std::string key = kind + "-" + one.body;
            for (const char* stored : {"0", "1"}) {
                const std::string told = call(regions, kClients.back(), key, one.body);
                INFO(key << ": " << told << server.log());
                CHECK_THAT(
                    told, StartsWith("failed code=" + one.code + " stored=" + stored + " token=0"));
                CHECK_THAT(told, Contains(one.text));
            }
            CHECK(regions.orders(key) == 0);
        }
        // What the handler committed by itself is there, and no retry does it again.
        const std::string key = kind + "-commit";
        CHECK_THAT(call(regions, "c", key, "commit"), StartsWith("failed code=transaction_ended"));
        CHECK_THAT(call(regions, "c", key, "commit"), StartsWith("failed code=transaction_ended"));
        CHECK(regions.orders(key) == 1);
        // The server goes on. A conflict is no failure: the handler runs again.
        CHECK_THAT(call(regions, "c", kind + "-after", "conflict"), StartsWith("ok "));
        CHECK(regions.orders(kind + "-after") == 1);
        if (kind == "ruby") {
            CHECK_THAT(server.log(), Contains("on_error: IndexError ruby-raise"));
            CHECK_THAT(run_client(regions, "ruby", {"call", "order.late", "late", "", "5000"}),
                       Contains("the transaction has ended with its handler"));
        }
        CHECK(server.process().stop(30s) == 0);
    }
}

TEST_CASE("a server that is killed within a call: the effect is none, and the client is told so") {
    CallRegions regions;
    for (const std::string& kind : kServers) {
        for (const std::string& client : kClients) {
            const std::string key = kind + "-" + client;
            auto server = std::make_unique<ServerProcess>(regions, kind);
            ProcessOptions options = process_options();
            options.log = regions.dir() / ("client-" + key);
            std::vector<std::string> command{HOMEWARD_ORDER_PROGRAM};
            if (client == "ruby") command = script("order_client.rb");
            for (const std::string& word :
                 {std::string("call"), regions.leaf().url(), std::string("order.place"), key,
                  std::string("hang"), std::string("6000")}) {
                command.push_back(word);
            }
            Process caller(command, options);
            const bool is_within = wait_until(30s, [&] {
                return regions.leader().number(
                           "SELECT count(*) FROM pg_stat_activity WHERE query ="
                           " 'SELECT pg_sleep(30)' AND state = 'active'") == 1;
            });
            INFO(key << ": " << read_file(options.log) << server->log());
            REQUIRE(is_within);
            server->process().kill();
            CHECK(caller.wait(60s) == 0);
            // Its message may have been lost with the server, or still be under way.
            CHECK_THAT(read_file(options.log), StartsWith("in_doubt "));
            CHECK(regions.orders(key) == 0);
            server = std::make_unique<ServerProcess>(regions, kind);
            CHECK_THAT(run_client(regions, client, {"outcome", key}), StartsWith("not_found "));
            // The same call, with its key and body: now it may run, once.
            CHECK_THAT(run_client(regions, client, {"abandon", key}), StartsWith("abandoned "));
            CHECK_THAT(call(regions, client, key, "hang"), StartsWith("abandoned "));
            CHECK(regions.orders(key) == 0);
            server->process().kill();
        }
    }
}

TEST_CASE("a forked child has a client of its own, or an error that says so") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    CallRegions regions;
    ServerProcess server(regions, "push");
    CHECK(run_client(regions, "c", {"fork"}) ==
          "parent ok code= stored=0 token=1 replica=1: placed tea for ams.shop by order.place\n"
          "child unavailable code= stored=0 token=0 replica=0: this client was made before fork();"
          " make one in the child\n"
          "child of its own ok code= stored=0 token=1 replica=1: placed tea for ams.shop by"
          " order.place\n"
          "parent ok code= stored=0 token=1 replica=1: placed tea for ams.shop by order.place\n");
    CHECK(regions.orders("fork-2") == 0);
    for (const char* key : {"fork-1", "fork-3", "fork-4"}) CHECK(regions.orders(key) == 1);
}

#ifndef HOMEWARD_NO_RUBY
TEST_CASE("a Ruby client in a forked child works, also after its NATS server was away") {
    CallRegions regions;
    ServerProcess server(regions, "ruby");
    CHECK(run_client(regions, "ruby", {"fork"}) ==
          "parent ok code= stored=0 token=1 replica=0: placed tea for ams.shop by order.place\n"
          "child ok code= stored=0 token=1 replica=0: placed tea for ams.shop by order.place\n"
          "parent ok code= stored=0 token=1 replica=0: placed tea for ams.shop by order.place\n");
    ProcessOptions options = process_options();
    options.log = regions.dir() / "child";
    std::vector<std::string> command = script("order_client.rb");
    command.insert(command.end(), {"child", regions.leaf().url()});
    Process client(command, options);
    const auto said = [&](const std::string& text) {
        const auto from = read_file(options.log).size();
        return [&, from, text] {
            return wait_until(60s, [&] {
                return read_file(options.log).substr(from).find(text) != std::string::npos;
            });
        };
    };
    const auto is_ok = said("ok connected=true");
    INFO("its outcomes are in " << options.log);
    REQUIRE(is_ok());
    // nats.c tells a forked child neither of a lost connection nor of a silent server.
    const auto is_lost = said("connected=false");
    regions.leaf().kill();
    CHECK(is_lost());
    const auto is_back = said("ok connected=true");
    regions.leaf().start(NatsServer::Until::serving);
    CHECK(is_back());
    const auto is_dropped = said("connected=false");
    regions.leaf().freeze();
    CHECK(is_dropped());
    const auto is_back_again = said("ok connected=true");
    regions.leaf().thaw();
    CHECK(is_back_again());
    INFO(read_file(options.log) << server.log());
    CHECK(client.is_running());
}

TEST_CASE("a Ruby worker thread that is killed ends the call that it has taken") {
    CallRegions regions;
    ServerProcess server(regions, "ruby");
    Client primary(regions.client_options());
    // The first call of a day may have to run twice.
    REQUIRE(primary.call("order.place", "tea", {.deadline = 20s}));
    const Reply killer = primary.call("order.place", "kill others", {.deadline = 20s});
    INFO(name_of(killer.outcome) << ": " << killer.body << server.log());
    REQUIRE(killer);
    // The killed threads still wait for a call each, if they are quick.
    for (int i = 0; i < 6; ++i) {
        const Reply reply = primary.call("order.place", "tea", {.deadline = 20s});
        INFO(i << " " << name_of(reply.outcome) << ": " << reply.body << server.log());
        CHECK(reply);
    }
    CHECK(server.process().stop(30s) == 0);
}

TEST_CASE("while a Ruby thread calls, other threads run") {
    CallRegions regions;
    ServerProcess server(regions, "push");
    const std::string told = run_client(regions, "ruby", {"gvl", "gvl-1"});
    INFO(told);
    CHECK_THAT(told, StartsWith("expired "));
    const std::size_t at = told.find("ticks ");
    REQUIRE(at != std::string::npos);
    CHECK(std::stoi(told.substr(at + 6)) >= 10);  // of some 200, in 2 s
}

TEST_CASE("after a call from Ruby the replica has the write; one that is away is no error") {
    CallRegions regions;
    const auto replica = PostgresServer::standby_of(regions.leader());
    ServerProcess server(regions, "ruby");
    ProcessOptions options = process_options();
    options.environment["REPLICA_URL"] = replica->url();
    for (int i = 0; i < 5; ++i) {
        const std::string key = "own-" + std::to_string(i);
        CHECK_THAT(
            run_client(regions, "ruby", {"call", "order.place", key, "tea", "10000"}, options),
            StartsWith("ok code= stored=0 token=1 replica=1: placed"));
        CHECK(replica->number("SELECT count(*) FROM orders WHERE key = '" + key + "'") == 1);
    }
    options.environment["TOKEN_KEYS"] = "k1:" + std::string(64, 'b');
    const std::string told =
        run_client(regions, "ruby", {"call", "order.place", "other-keys", "tea", "10000"}, options);
    CHECK_THAT(told, Contains("ok code= stored=0 token=1 replica=3: placed"));
    CHECK_THAT(told, Contains("log: calls do not wait for the replica: their session tokens"));
    options.environment["TOKEN_KEYS"] = kKeys;
    replica->kill();
    CHECK_THAT(run_client(regions, "ruby", {"call", "order.place", "own", "tea", "10000"}, options),
               StartsWith("ok code= stored=0 token=1 replica=3: placed"));
}
#endif
