/* Emits audit events from C. Built and run by tests/publisher/languages_test.cpp as
 *
 *   cc -std=c11 -Wall -Wextra -Werror emit.c $(pkg-config --cflags --libs homeward)
 *   NATS_URL=nats://127.0.0.1:4222 ./a.out
 */
#include <homeward.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_line(void* context, const char* line, size_t line_bytes) {
    fprintf(context, "homeward: %.*s\n", (int)line_bytes, line);
}

static homeward_value text(const char* zero_terminated) {
    return homeward_text(zero_terminated, strlen(zero_terminated));
}

/* A type is described once; then an event is an array of values, and no JSON is made or read. Of
 * audit the library knows which fields are required; see homeward_define_required(). */
static homeward_type* define_audit(homeward_publisher* publisher) {
    static const homeward_field fields[] = {
        {"actor", HOMEWARD_TEXT},   {"action", HOMEWARD_TEXT},     {"resource", HOMEWARD_TEXT},
        {"outcome", HOMEWARD_TEXT}, {"request_id", HOMEWARD_TEXT}, {"detail", HOMEWARD_JSON},
    };
    return homeward_define(publisher, "audit", HOMEWARD_AUDIT, fields, 6);
}

static homeward_result emit_audit(homeward_publisher* publisher, const homeward_type* audit,
                                  const char* action, int order) {
    homeward_builder* detail = homeward_object();
    homeward_add(detail, "via", text("C"));
    char resource[32];
    snprintf(resource, sizeof resource, "order:%d", order);
    const homeward_value values[] = {
        text("user:42"), text(action),      text(resource),
        text("allowed"), homeward_absent(), homeward_built(detail),
    };
    const homeward_result result = homeward_emit(publisher, audit, values, 6);
    homeward_builder_free(detail);
    return result;
}

/* What a request emits is held until it is known where the request is handled. */
static homeward_result handle_request(homeward_publisher* publisher, const homeward_type* audit,
                                      int order, int is_replayed) {
    homeward_scope* scope = homeward_scope_begin(publisher, 0);
    if (emit_audit(publisher, audit, "order.place", order) != HOMEWARD_HELD) {
        fputs("the event was not held\n", stderr);
    }
    homeward_result result = HOMEWARD_ACCEPTED;
    if (is_replayed) {
        homeward_scope_drop(scope); /* the primary region emits it again */
    } else {
        result = homeward_scope_publish(scope);
    }
    homeward_scope_end(scope);
    return result;
}

int main(void) {
    if (homeward_abi_version() < HOMEWARD_ABI_VERSION) {
        fputs("the library is older than its header\n", stderr);
        return 1;
    }
    const homeward_options options = {
        .size = sizeof options,
        .region = "ams",
        .app = "c-example",
        .nats_urls = getenv("NATS_URL"),
        .spool_dir = getenv("SPOOL_DIR"),
        .on_log = print_line,
        .log_context = stderr,
    };
    char why[256];
    homeward_publisher* publisher = homeward_open(&options, why, sizeof why);
    if (publisher == NULL) {
        fprintf(stderr, "homeward: %s\n", why);
        return 1;
    }

    const homeward_type* audit = define_audit(publisher);
    for (int order = 0; order < 100; ++order) {
        const homeward_result result = emit_audit(publisher, audit, "order.view", order);
        if (result != HOMEWARD_ACCEPTED) {
            fprintf(stderr, "not taken: %s\n", homeward_result_text(result));
        }
    }
    for (int order = 0; order < 10; ++order) {
        if (handle_request(publisher, audit, order, order % 2) != HOMEWARD_ACCEPTED) {
            fputs("a request's events were not taken\n", stderr);
        }
    }
    const char metric[] = "{\"name\":\"orders_total\",\"kind\":\"counter\",\"value\":10}";
    /* A metric may be dropped, which is reported. */
    (void)homeward_emit_json(publisher, HOMEWARD_METRIC, "metric", 6, metric, strlen(metric), 0);

    uint64_t left = 0;
    homeward_stats stats = {.size = sizeof stats};
    homeward_flush(publisher, 10000, HOMEWARD_STREAM, &left);
    homeward_get_stats(publisher, &stats);
    const int is_done = homeward_close(publisher, 10000, &left);
    homeward_free(publisher);
    printf("audit=%llu metric=%llu left=%llu\n", (unsigned long long)stats.audit.acked,
           (unsigned long long)stats.metric.acked, (unsigned long long)left);
    return is_done ? 0 : 1;
}
