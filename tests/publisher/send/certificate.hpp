#pragma once

#include <string>

#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// `name`.pem and `name`.key in `dir`: a certificate for 127.0.0.1 that signs itself. Who is to
/// trust it takes it as its CA. Throws std::runtime_error.
void make_certificate(const TempDir& dir, const std::string& name);

/// Lines of a nats-server's configuration: it shows `server`, and wants of clients that `client`,
/// unless that is empty, has signed what they show.
std::string tls_lines(const TempDir& dir, const std::string& server,
                      const std::string& client = "");

}  // namespace homeward::testing
