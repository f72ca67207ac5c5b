// Compiled with what must not compile, and without.

#include <homeward/publisher.hpp>

#include <audit.event.hpp>
#include <metric.event.hpp>

void emit(homeward::Publisher& publisher, const homeward::events::Audit& audit,
          const homeward::events::Metric& metric) {
    publisher.emit(metric);  // may be dropped, and that is reported
    if (publisher.emit(audit) != homeward::EmitResult::accepted) return;
#ifdef HOMEWARD_MISTAKE_AUDIT
    publisher.emit(audit);
#endif
#ifdef HOMEWARD_MISTAKE_WAIT
    publisher.emit_wait(audit, std::chrono::milliseconds(1));
#endif
#ifdef HOMEWARD_MISTAKE_JSON
    publisher.emit_json("audit", homeward::EventClass::audit, "{}");
#endif
}
