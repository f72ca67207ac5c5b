#pragma once

// Events of a request that may yet be replayed in the primary region: held back until it is known
// where the request is handled, since the primary emits them again.
//
//   homeward::RequestScope scope(publisher);
//   handle(request);                        // every emit() on this thread says held
//   if (is_replayed) scope.drop();          // the primary emits them
//   else scope.publish();                   // they are this region's

#include <cstddef>
#include <memory>

#include <homeward/publisher.hpp>

namespace homeward {

class BufferedEvents;

struct RequestScopeOptions {
    /// Of each class, as records in memory, and no more than half of the publisher's lane_bytes,
    /// so that what was held can be published. Taken as events come. Beyond it emit() says
    /// scope_full for audit; a metric says dropped, and publish() reports how many.
    std::size_t bytes_max = 256u << 10;
};

/// Holds what threads inside it emit through one publisher, by emit() or emit_json(), of both
/// classes; the time of an event is that of its emit(). What is held is in this process's memory
/// and not accepted: if the process dies before publish(), it is gone, as the request is.
///
/// The thread that makes a scope is inside it. A request that is finished by another thread: move
/// the scope there, or enter() it there; any number of threads may be inside one, and any of them
/// may decide. Once it is decided, emit() on all of them goes its usual way again.
///
/// Destroyed undecided, it publishes: the handler threw past whoever decides, the request was
/// handled here, and an event too many is found while one too few is not. What then finds no room
/// is counted in Stats as refused and said to on_log.
///
/// A scope inside a scope of the same publisher: publish() hands its events to the one around it,
/// which decides; drop() drops only its own. Scopes of different publishers know nothing of each
/// other. A child after fork() is in no scope: what its parent holds stays the parent's.
///
/// Any thread may call any method, one at a time moving or destroying it. The publisher outlives
/// it.
class RequestScope {
  public:
    /// The calling thread is inside from here on. Throws std::bad_alloc, as enter() does.
    explicit RequestScope(Publisher& publisher, const RequestScopeOptions& options = {});
    ~RequestScope();
    RequestScope(RequestScope&&) noexcept = default;
    RequestScope& operator=(RequestScope&&) = delete;

    /// The calling thread is inside, or no longer. Leaving decides nothing.
    void enter();
    void leave() noexcept;

    /// All of them together, also through a SIGKILL. accepted: they are, or were before (metrics
    /// without room are dropped and reported); held: by the scope around this one. Otherwise
    /// (full, scope_full, closed) nothing was published and all is still held: publish() again
    /// later, or drop(). closed is also the answer after drop().
    EmitResult publish() noexcept;
    void drop() noexcept;

    /// Events held now, of both classes.
    std::size_t held() const noexcept;

  private:
    std::shared_ptr<BufferedEvents> events_;  // shared with the threads inside; null: moved from
};

}  // namespace homeward
