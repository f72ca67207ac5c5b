#include "tests/publisher/send/streams.hpp"

#include "tests/support/servers/nats_client.hpp"

namespace homeward::testing {

void make_stream(const NatsServer& server, StreamKind kind) {
    const std::string name = stream_name(kind, "ams");
    NatsClient(server.port())
        .request("$JS.API.STREAM.CREATE." + name,
                 R"({"name":")" + name + R"(","subjects":[")" + stream_subjects(kind, "ams") +
                     R"("],"storage":"file","retention":"limits","num_replicas":1})");
}

}  // namespace homeward::testing
