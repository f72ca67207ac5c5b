#pragma once

#include "schemas/subject.hpp"
#include "tests/support/nats_server.hpp"

namespace homeward::testing {

/// Makes the stream of that kind for the region "ams", in which nothing is ever acknowledged.
void make_stream(const NatsServer& server, StreamKind kind);

}  // namespace homeward::testing
