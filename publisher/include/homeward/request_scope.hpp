#pragma once

/// @file
/// Buffers events of a request that may be replayed in the primary region, which emits them again.
///
///     homeward::RequestScope scope(publisher);
///     handle(request);                        // every emit() on this thread returns held
///     if (is_replayed) scope.drop();          // the primary region emits them
///     else scope.publish();                   // this region does

#include <cstddef>
#include <memory>

#include <homeward/publisher.hpp>

namespace homeward {

class BufferedEvents;

/// Settings of one request scope.
struct RequestScopeOptions {
    /// Buffer limit per class in bytes, at most half of the publisher's lane_bytes, so that
    /// buffered events can be published. Memory is taken as events come. Beyond the limit emit()
    /// returns scope_full for audit and dropped for metric; publish() reports how many were
    /// dropped.
    std::size_t bytes_max = 256u << 10;
};

/// Buffers the events of one request until the app knows which region handles it. It buffers what
/// threads inside the scope emit through one publisher, in both classes. An event's time is that
/// of its emit(). Buffered events are in this process's memory and not accepted: if the process
/// dies before publish(), they are lost with the request.
///
/// The constructing thread is inside the scope. If another thread finishes the request, move the
/// scope there or call enter() there. Any number of threads may be inside, and any of them may
/// decide. After the decision, emit() works as usual on all of them.
///
/// An undecided scope publishes when it is destroyed: the handler threw, the request was handled
/// here, and a surplus event can be found later while a missing one cannot. Events that find no
/// room then are counted as refused in Stats, and on_log says so.
///
/// Nested scopes of one publisher: publish() of the inner one passes its events to the outer one;
/// drop() drops only its own. Scopes of different publishers are independent. A forked child is in
/// no scope; what its parent buffered stays the parent's.
///
/// Thread safety: any thread may call any method; moving and destroying need exclusive access. The
/// publisher must outlive the scope.
class RequestScope {
  public:
    /// Begins a scope; the calling thread is inside it.
    /// @param publisher it must outlive the scope
    /// @param options the buffer's limit
    /// @throws std::bad_alloc without memory
    explicit RequestScope(Publisher& publisher, const RequestScopeOptions& options = {});
    /// Publishes, unless the scope was decided.
    ~RequestScope();
    /// Moves the scope; the threads inside it stay inside.
    RequestScope(RequestScope&&) noexcept = default;
    RequestScope& operator=(RequestScope&&) = delete;

    /// Puts the calling thread inside the scope.
    /// @throws std::bad_alloc without memory
    void enter();
    /// Takes the calling thread out of the scope. It decides nothing.
    void leave() noexcept;

    /// Publishes all buffered events together, atomically even if the process is killed. Any
    /// thread.
    /// @return accepted: they are accepted, or were before (metrics without room are dropped and
    ///     reported). held: the outer scope buffers them. full, scope_full, closed: nothing was
    ///     published and all is still buffered; call publish() again later, or drop(). After drop()
    ///     the result is closed
    EmitResult publish() noexcept;
    /// Discards all buffered events. Any thread.
    void drop() noexcept;

    /// Counts the buffered events of both classes. Any thread.
    /// @return events buffered now
    std::size_t held() const noexcept;

  private:
    std::shared_ptr<BufferedEvents> events_;  // shared with the threads inside; null: moved from
};

}  // namespace homeward
