#pragma once

#include <string>
#include <vector>

namespace homeward::consumer {

/// Files for one side of TLS, all in PEM; an empty name is a file that is not wanted.
struct TlsFiles {
    std::string section;    ///< of the configuration: "nats"
    std::string ca_file;    ///< who is believed
    std::string cert_file;  ///< what we show, with its chain
    std::string key_file;
};

/// Why they cannot be used, with the key of the configuration that names each: unreadable as PEM, a
/// key of another certificate, one without the other, expired or not valid yet. Empty when all is
/// well. A file that is not there at all is left to whoever looks for files.
std::vector<std::string> find_tls_faults(const TlsFiles& files);

}  // namespace homeward::consumer
