#include "tests/bench/support/streams.hpp"

#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "schemas/nats/subject.hpp"
#include "tests/support/servers/nats_client.hpp"

namespace homeward::bench {
namespace {

std::string call(const testing::NatsServer& server, const std::string& method,
                 const std::string& body) {
    testing::NatsClient client(server.port());
    std::string answer = client.request("$JS.API." + method, body);
    if (answer.find("\"error\"") != std::string::npos) {
        throw std::runtime_error(method + ": " + answer);
    }
    return answer;
}

nlohmann::json config_of(const testing::NatsServer& server, const std::string& stream) {
    return nlohmann::json::parse(call(server, "STREAM.INFO." + stream, "")).at("config");
}

}  // namespace

void make_streams(const testing::NatsServer& server) {
    testing::ProcessOptions options;
    options.environment = {{"HOMEWARD_NATS_URLS", server.url()}, {"HOMEWARD_SOURCES", kRegion}};
    const auto made =
        testing::run_command({HOMEWARD_CONSUMER_PROGRAM, "streams", "apply"}, options);
    if (made.exit_code != 0) throw std::runtime_error("streams apply:\n" + made.output);
    call(server, std::string("STREAM.CREATE.") + kRawStream,
         // The settings that `homeward-consumer streams apply` chooses.
         R"({"name":")" + std::string(kRawStream) + R"(","subjects":[")" + kRawSubject +
             R"("],"retention":"workqueue","storage":"file","discard":"new",)"
             R"("duplicate_window":120000000000,"num_replicas":1})");
}

void limit_streams(const testing::NatsServer& server, std::uint64_t messages_max) {
    for (const std::string& stream :
         {stream_name(StreamKind::audit, kRegion), std::string(kRawStream)}) {
        nlohmann::json config = config_of(server, stream);
        config["max_msgs"] = messages_max;
        call(server, "STREAM.UPDATE." + stream, config.dump());
    }
}

void renew_stream(const testing::NatsServer& server, const std::string& stream) {
    const nlohmann::json config = config_of(server, stream);
    call(server, "STREAM.DELETE." + stream, "");
    call(server, "STREAM.CREATE." + stream, config.dump());
}

}  // namespace homeward::bench
