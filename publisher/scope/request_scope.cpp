#include <homeward/request_scope.hpp>

#include "publisher/scope/buffered_events.hpp"
#include "publisher/scope/thread_scopes.hpp"

namespace homeward {

RequestScope::RequestScope(Publisher& publisher, const RequestScopeOptions& options)
    : events_(std::make_shared<BufferedEvents>(publisher, options.bytes_max)) {
    enter();
}

RequestScope::~RequestScope() {
    if (events_ == nullptr) return;
    events_->end();
    leave();
}

void RequestScope::enter() {
    thread_scopes::enter(events_);
}
void RequestScope::leave() noexcept {
    thread_scopes::leave(*events_);
}
EmitResult RequestScope::publish() noexcept {
    return events_->publish();
}
void RequestScope::drop() noexcept {
    events_->drop();
}
std::size_t RequestScope::held() const noexcept {
    return events_->events();
}

}  // namespace homeward
