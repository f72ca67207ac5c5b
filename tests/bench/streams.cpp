#include "tests/bench/streams.hpp"

#include <stdexcept>

#include "schemas/subject.hpp"
#include "tests/support/nats_client.hpp"

namespace homeward::bench {
namespace {

void call(const testing::NatsServer& server, const std::string& method, const std::string& body) {
    testing::NatsClient client(server.port());
    const std::string answer = client.request("$JS.API." + method, body);
    if (answer.find("\"error\"") != std::string::npos) {
        throw std::runtime_error(method + ": " + answer);
    }
}

/// The settings that `homeward-consumer streams apply` chooses.
std::string stream_settings(const std::string& name, const std::string& subject,
                            const std::string& more) {
    return R"({"name":")" + name + R"(","subjects":[")" + subject +
           R"("],"retention":"workqueue","storage":"file","discard":"new",)" + more +
           R"("duplicate_window":120000000000,"num_replicas":1})";
}

}  // namespace

void make_streams(const testing::NatsServer& server) {
    testing::ProcessOptions options;
    options.environment = {{"HOMEWARD_NATS_URLS", server.url()}, {"HOMEWARD_SOURCES", kRegion}};
    const auto made =
        testing::run_command({HOMEWARD_CONSUMER_PROGRAM, "streams", "apply"}, options);
    if (made.exit_code != 0) throw std::runtime_error("streams apply:\n" + made.output);
    call(server, std::string("STREAM.CREATE.") + kRawStream,
         stream_settings(kRawStream, kRawSubject, ""));
}

void limit_streams(const testing::NatsServer& server, std::uint64_t messages_max) {
    const std::string limit = "\"max_msgs\":" + std::to_string(messages_max) + ",";
    const std::string audit = stream_name(StreamKind::audit, kRegion);
    call(server, "STREAM.UPDATE." + audit,
         stream_settings(audit, stream_subjects(StreamKind::audit, kRegion), limit));
    call(server, std::string("STREAM.UPDATE.") + kRawStream,
         stream_settings(kRawStream, kRawSubject, limit));
}

void purge_stream(const testing::NatsServer& server, const std::string& stream) {
    call(server, "STREAM.PURGE." + stream, "");
}

}  // namespace homeward::bench
