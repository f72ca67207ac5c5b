#pragma once

#include <string>

#include "tests/publisher/send/nkey.hpp"

namespace homeward::testing {

/// An operator of NATS with one account, who lets users in by signed tokens (JWT) instead of
/// entries in the server's configuration.
class NatsOperator {
  public:
    NatsOperator();

    /// For the configuration of a server that trusts this operator.
    std::string server_lines() const;
    /// The text of a .creds file of a fresh user.
    std::string make_credentials() const;

  private:
    Nkey operator_ = Nkey::make(Nkey::Kind::operator_);
    Nkey account_ = Nkey::make(Nkey::Kind::account);
    std::string operator_token_;
    std::string account_token_;
};

}  // namespace homeward::testing
