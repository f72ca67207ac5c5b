#pragma once

#include <string>

namespace homeward::testing {

/// A fresh NATS user nkey, as the tools of NATS write it.
struct Nkey {
    std::string seed;        ///< SU…
    std::string public_key;  ///< U…
    static Nkey make();
};

}  // namespace homeward::testing
