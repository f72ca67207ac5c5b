#pragma once

#include <stdexcept>

namespace homeward::cli {

/// A command line that cannot be carried out, and why. Its exit status is 2.
class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

}  // namespace homeward::cli
