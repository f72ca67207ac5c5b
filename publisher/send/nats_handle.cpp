#include "publisher/send/nats_handle.hpp"

#include <dlfcn.h>
#include <sys/random.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <homeward/options.hpp>

#include "publisher/platform/fork_guard.hpp"

namespace homeward {
namespace {

/// How every message of nats.c begins: with what its collecting thread calls to free it.
struct Collected {
    Collected* next;
    void (*free)(void* message);
};

/// Whether messages of this nats.c begin so: its own function, the same for two fresh messages.
bool can_free_directly() {
    std::array<natsMsg*, 2> messages{};
    std::array<Collected, 2> starts{};
    bool is_known = true;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        is_known = is_known && natsMsg_Create(&messages[i], "a", nullptr, "b", 1) == NATS_OK;
        if (is_known) std::memcpy(&starts[i], messages[i], sizeof starts[i]);
    }
    Dl_info ours{};
    Dl_info theirs{};
    is_known = is_known && starts[0].next == nullptr && starts[1].next == nullptr &&
               starts[0].free != nullptr && starts[0].free == starts[1].free &&
               ::dladdr(reinterpret_cast<void*>(&natsMsg_Create), &ours) != 0 &&
               ::dladdr(reinterpret_cast<void*>(starts[0].free), &theirs) != 0 &&
               ours.dli_fbase == theirs.dli_fbase;
    for (natsMsg* message : messages) natsMsg_Destroy(message);
    return is_known;
}

}  // namespace

void free_message(natsMsg* message) {
    static const bool is_direct = can_free_directly();
    if (is_direct) {
        Collected start;
        std::memcpy(&start, message, sizeof start);
        start.free(message);
        return;
    }
    // An unknown nats.c: fork() must find its collecting thread at rest.
    const auto nobody_forks = ForkGuard::hold();
    ForkGuard::wait_at_fork();
    natsMsg_Destroy(message);
}

std::string random_hex() {
    std::array<unsigned char, 16> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw SetupError("getrandom() gives no random bytes for an inbox");
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

void keep_socket(natsConnection* connection) {
    char* ip = nullptr;
    int port = 0;
    if (natsConnection_GetLocalIPAndPort(connection, &ip, &port) != NATS_OK) return;
    ForkGuard::keep_socket(connection, ip, port);
    std::free(ip);
}

}  // namespace homeward
