#pragma once

#include "schemas/nats/subject.hpp"
#include "tests/support/servers/nats_server.hpp"

namespace homeward::testing {

/// Makes the stream of that kind for the region "ams", in which nothing is ever acknowledged.
void make_stream(const NatsServer& server, StreamKind kind);

}  // namespace homeward::testing
