#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// Parses one setting's text into its field and checks its bounds. Throws BadValue.
using Setter = std::function<void(const std::string& text)>;

struct BadValue {
    std::string expected;
};

/// Every scalar setting by "section.key". The setters borrow `config`.
std::map<std::string, Setter> setters(Config& config);

/// A setting whose key has changed. The old key is accepted with a warning until 1.0.
struct RenamedSetting {
    const char* old_key;
    const char* key;
};
inline constexpr RenamedSetting kRenamedSettings[] = {
    {"ledger.fold_interval_ms", "ledger.compact_interval_ms"},
};

/// Applies a setter. `where`: file and line, or environment variable. Throws ConfigError.
void apply_setter(const Setter& setter, const std::string& text, const std::string& where,
                  const std::string& key);

/// The replicas of a [[source]]. Throws ConfigError.
std::size_t parse_replicas(const std::string& text, const std::string& where);

}  // namespace homeward::consumer
