#include "tests/publisher/send/certificate.hpp"

#include <stdexcept>

#include "tests/support/process.hpp"

namespace homeward::testing {

void make_certificate(const TempDir& dir, const std::string& name) {
    const CommandResult made = run_command(
        {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", dir / (name + ".key"), "-out", dir / (name + ".pem")});
    if (made.exit_code != 0) throw std::runtime_error("openssl:\n" + made.output);
}

std::string tls_lines(const TempDir& dir, const std::string& server, const std::string& client) {
    std::string lines = "tls { cert_file: \"" + (dir / (server + ".pem")).string() +
                        "\", key_file: \"" + (dir / (server + ".key")).string() + "\"";
    if (!client.empty()) {
        lines += ", verify: true, ca_file: \"" + (dir / (client + ".pem")).string() + "\"";
    }
    return lines + " }";
}

}  // namespace homeward::testing
