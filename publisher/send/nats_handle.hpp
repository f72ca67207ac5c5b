#pragma once

// What whoever uses nats.c needs: handles that free themselves, in a forked process too.

#include <nats/nats.h>

#include <memory>
#include <string>

namespace homeward {

/// natsMsg_Destroy() hands the message to a thread of the library, under a lock of the whole
/// library. A forked child has no such thread, so there no message would ever be freed; and were
/// the lock held at the fork, the child would wait for it for ever. So we free it ourselves.
void free_message(natsMsg* message);

template <typename T, void (*destroy)(T*)>
struct Destroyer {
    void operator()(T* object) const { destroy(object); }
};
using OptionsPtr = std::unique_ptr<natsOptions, Destroyer<natsOptions, natsOptions_Destroy>>;
using ConnectionPtr =
    std::unique_ptr<natsConnection, Destroyer<natsConnection, natsConnection_Destroy>>;
using SubscriptionPtr =
    std::unique_ptr<natsSubscription, Destroyer<natsSubscription, natsSubscription_Destroy>>;
using MsgPtr = std::unique_ptr<natsMsg, Destroyer<natsMsg, free_message>>;

/// 32 digits that nobody guesses. Throws SetupError.
std::string random_hex();

/// nats.c opens it for everybody: children, and programs that they become. Until
/// ForkGuard::forget_socket().
void keep_socket(natsConnection* connection);

}  // namespace homeward
