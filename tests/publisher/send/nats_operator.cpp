#include "tests/publisher/send/nats_operator.hpp"

#include <chrono>
#include <cstdint>

namespace homeward::testing {
namespace {

/// Base 64 for URLs, without padding.
std::string base64url(std::string_view bytes) {
    constexpr const char* kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char byte : bytes) {
        bits = (bits << 8) | static_cast<unsigned char>(byte);
        for (count += 8; count >= 6; count -= 6) text += kDigits[(bits >> (count - 6)) & 63];
    }
    if (count > 0) text += kDigits[(bits << (6 - count)) & 63];
    return text;
}

/// What `issuer` says of `subject`; `nats` is the part of the claims that NATS defines.
std::string token(const Nkey& issuer, const std::string& subject, const std::string& nats) {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    const std::string claims = R"({"jti":"test","iat":)" + std::to_string(now) + R"(,"iss":")" +
                               issuer.public_key + R"(","name":"test","sub":")" + subject +
                               R"(","nats":)" + nats + "}";
    const std::string text =
        base64url(R"({"typ":"JWT","alg":"ed25519-nkey"})") + "." + base64url(claims);
    return text + "." + base64url(issuer.sign(text));
}

}  // namespace

NatsOperator::NatsOperator()
    : operator_token_(token(operator_, operator_.public_key, R"({"type":"operator","version":2})")),
      account_token_(token(operator_, account_.public_key,
                           R"({"limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,)"
                           R"("exports":-1,"wildcards":true,"conn":-1,"leaf":-1},)"
                           R"("type":"account","version":2})")) {}

std::string NatsOperator::server_lines() const {
    return "operator: " + operator_token_ + "\nresolver: MEMORY\nresolver_preload: { " +
           account_.public_key + ": " + account_token_ + " }";
}

std::string NatsOperator::make_credentials() const {
    const Nkey user = Nkey::make();
    const std::string user_token =
        token(account_, user.public_key,
              R"({"subs":-1,"data":-1,"payload":-1,"type":"user","version":2})");
    return "-----BEGIN NATS USER JWT-----\n" + user_token +
           "\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n" + user.seed +
           "\n------END USER NKEY SEED------\n";
}

}  // namespace homeward::testing
