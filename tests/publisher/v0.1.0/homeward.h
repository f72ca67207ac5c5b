#ifndef HOMEWARD_H
#define HOMEWARD_H

/* Homeward's publisher for C and for whatever can call C: pkg-config --cflags --libs homeward
 *
 *   homeward_options options = {.size = sizeof options, .region = "ams", .app = "shop"};
 *   char why[256];
 *   homeward_publisher *publisher = homeward_open(&options, why, sizeof why);
 *   homeward_emit_json(publisher, HOMEWARD_AUDIT, "audit", 5, json, strlen(json), 0);
 *   homeward_close(publisher, 2000, NULL);
 *   homeward_free(publisher);
 *
 * What each guarantees and costs stands in homeward/publisher.hpp and homeward/request_scope.hpp.
 * Texts are UTF-8, sizes are bytes, handles are opaque. Unless it says otherwise, any thread may
 * call a function, no function keeps a pointer that it was given, and none lets an exception out.
 *
 * After fork() both processes go on with the handle they have: the child becomes a publisher of its
 * own at its first emit, with the same options and types, and sends nothing that its parent emitted.
 * A scope stays its parent's.
 *
 * The ABI only grows: options and stats begin with their size as the caller knows them, and codes
 * are never given another meaning. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOMEWARD_ABI_VERSION 1
/* What the loaded library has; at least HOMEWARD_ABI_VERSION, or it is too old for this header. */
uint32_t homeward_abi_version(void);
/* "0.1.0" */
const char *homeward_version(void);

typedef struct homeward_publisher homeward_publisher;
typedef struct homeward_type homeward_type;
typedef struct homeward_scope homeward_scope;

typedef enum homeward_class {
    HOMEWARD_AUDIT = 1, /* never lost in silence: refused with a code when there is no room */
    HOMEWARD_METRIC = 2 /* may be dropped; the drop itself is reported */
} homeward_class;

/* What became of an event. */
typedef enum homeward_result {
    HOMEWARD_ACCEPTED = 0,   /* it will reach the stream, whatever happens to this process */
    HOMEWARD_HELD = 1,       /* by this thread's scope; not yet accepted */
    HOMEWARD_DROPPED = 2,    /* metric only: no room; a tombstone will report it */
    HOMEWARD_FULL = 3,       /* audit only: no room; not taken, the app decides */
    HOMEWARD_SCOPE_FULL = 4, /* audit only: the scope holds all that it may; not taken */
    HOMEWARD_TOO_LARGE = 5,  /* larger than 256 KiB or than half a lane; not taken */
    HOMEWARD_CLOSED = 6,     /* after homeward_close(), or no lane to be had; not taken */
    HOMEWARD_INVALID = 7     /* a null handle, or values that do not fit the type; not taken */
} homeward_result;
/* One phrase for a person; never NULL. */
const char *homeward_result_text(homeward_result result);

typedef enum homeward_durability {
    HOMEWARD_SURVIVES_PROCESS = 0, /* the death of the process */
    HOMEWARD_SURVIVES_MACHINE = 1  /* its restart too: fdatasync before sending */
} homeward_durability;

/* Zero or NULL means the default, for every field but the first three. */
typedef struct homeward_options {
    size_t size;           /* sizeof(homeward_options) */
    const char *region;    /* a-z 0-9 _ - */
    const char *app;       /* a-z 0-9 _ - */
    const char *nats_urls; /* separated by commas; nats://127.0.0.1:4222 */
    const char *spool_dir; /* NULL: everything is in memory and dies with the process */
    const char *lane_dir;  /* /dev/shm if that is a tmpfs, else inside spool_dir */
    homeward_durability durability;
    uint32_t linger_ms;          /* 10 */
    size_t frame_bytes;          /* 64 KiB */
    size_t lane_bytes;           /* 1 MiB; a power of two */
    size_t lanes_max;            /* 256 */
    size_t log_bytes_max;        /* 256 MiB a class */
    size_t in_flight_max;        /* 64 frames a class */
    size_t in_flight_bytes_max;  /* 8 MiB a class */
    const char *credentials_file; /* NATS .creds */
    const char *nkey_seed_file;
    const char *tls_ca_file;
    const char *tls_cert_file;
    const char *tls_key_file;
    /* What a person should know, not ended by a zero; called from the publisher's threads and from
     * homeward_close(), never from an emit; must not call back into the publisher. */
    void (*on_log)(void *context, const char *line, size_t line_bytes);
    void *log_context;
} homeward_options;

/* NULL when the options are bad or a disk cannot be used; `why`, if it is not NULL, then holds one
 * sentence, cut to why_bytes. That NATS is away is no error: events wait. */
homeward_publisher *homeward_open(const homeward_options *options, char *why, size_t why_bytes);

/* One JSON object with the fields of the event type; not parsed here. time_us: microseconds since
 * 1970-01-01 UTC; 0: now. A thread's first call may allocate; no later one does. */
homeward_result homeward_emit_json(homeward_publisher *publisher, homeward_class event_class,
                                   const char *type, size_t type_bytes, const char *json,
                                   size_t json_bytes, int64_t time_us);
/* As homeward_emit_json(), for who would rather wait: HOMEWARD_FULL is tried again until there is
 * room, or for deadline_ms. Each try that fails counts as refused. */
homeward_result homeward_emit_json_wait(homeward_publisher *publisher, homeward_class event_class,
                                        const char *type, size_t type_bytes, const char *json,
                                        size_t json_bytes, int64_t time_us, uint32_t deadline_ms);

/* The same without any JSON: the type is described once, and values are copied as they are.
 *
 *   static const homeward_field fields[] = {{"code", HOMEWARD_TEXT}, {"weight_g", HOMEWARD_INTEGER}};
 *   homeward_type *parcel = homeward_define(publisher, "parcel", HOMEWARD_AUDIT, fields, 2);
 *   homeward_value values[] = {homeward_text("p1", 2), homeward_integer(250)};
 *   homeward_emit(publisher, parcel, values, 2); */
typedef enum homeward_kind {
    HOMEWARD_ABSENT = 0, /* of a value only: this event has no such field */
    HOMEWARD_INTEGER = 1,
    HOMEWARD_REAL = 2,
    HOMEWARD_BOOLEAN = 3,
    HOMEWARD_TIMESTAMP = 4, /* microseconds since 1970-01-01 UTC */
    HOMEWARD_TEXT = 5,      /* also uuid, inet and values of an enum */
    HOMEWARD_JSON = 6       /* a JSON value as text, for objects and arrays */
} homeward_kind;

typedef struct homeward_field {
    const char *name; /* a-z 0-9 _, a letter first; at most 63 bytes */
    homeward_kind kind;
} homeward_field;

typedef struct homeward_value {
    homeward_kind kind;
    union {
        int64_t integer; /* also HOMEWARD_BOOLEAN (0 or 1) and HOMEWARD_TIMESTAMP */
        double real;
        struct {
            const char *bytes;
            size_t size;
        } text; /* also HOMEWARD_JSON */
    } as;
} homeward_value;

/* NULL for a bad name, a kind that is none, more than 64 fields, or no memory. It belongs to the
 * publisher and ends with it. */
homeward_type *homeward_define(homeward_publisher *publisher, const char *name,
                               homeward_class event_class, const homeward_field *fields,
                               size_t field_count);
/* values[i] is of fields[i]: of its kind, or HOMEWARD_ABSENT. */
homeward_result homeward_emit(homeward_publisher *publisher, const homeward_type *type,
                              const homeward_value *values, size_t value_count);
/* As homeward_emit(), waiting for room as homeward_emit_json_wait() does. */
homeward_result homeward_emit_wait(homeward_publisher *publisher, const homeward_type *type,
                                   const homeward_value *values, size_t value_count,
                                   uint32_t deadline_ms);

static inline homeward_value homeward_absent(void) {
    homeward_value value = {HOMEWARD_ABSENT, {0}};
    return value;
}
static inline homeward_value homeward_integer(int64_t integer) {
    homeward_value value = {HOMEWARD_INTEGER, {integer}};
    return value;
}
static inline homeward_value homeward_boolean(int truth) {
    homeward_value value = {HOMEWARD_BOOLEAN, {truth != 0}};
    return value;
}
static inline homeward_value homeward_timestamp(int64_t us_since_1970) {
    homeward_value value = {HOMEWARD_TIMESTAMP, {us_since_1970}};
    return value;
}
static inline homeward_value homeward_real(double real) {
    homeward_value value = {HOMEWARD_REAL, {0}};
    value.as.real = real;
    return value;
}
static inline homeward_value homeward_text(const char *bytes, size_t size) {
    homeward_value value = {HOMEWARD_TEXT, {0}};
    value.as.text.bytes = bytes;
    value.as.text.size = size;
    return value;
}
static inline homeward_value homeward_json(const char *bytes, size_t size) {
    homeward_value value = {HOMEWARD_JSON, {0}};
    value.as.text.bytes = bytes;
    value.as.text.size = size;
    return value;
}

typedef enum homeward_until {
    HOMEWARD_LOGGED = 0, /* in the frame log */
    HOMEWARD_STREAM = 1  /* acknowledged by JetStream */
} homeward_until;

/* Wait until all that was accepted before the call is there. 1: it is; 0: the time is over, or the
 * handle is NULL. events_left may be NULL. */
int homeward_flush(homeward_publisher *publisher, uint32_t deadline_ms, homeward_until until,
                   uint64_t *events_left);
/* Refuses further events, flushes, and tells the leader that nothing more will come. What is left
 * stays in the spool for the next start; without a spool it is lost, and on_log says so. */
int homeward_close(homeward_publisher *publisher, uint32_t deadline_ms, uint64_t *events_left);
/* Ends the handle, after homeward_close(2000) if there was none. No other thread may still use it,
 * and its scopes must have ended. NULL is allowed. */
void homeward_free(homeward_publisher *publisher);

/* accepted = in_lanes + in_log + acked + tombstoned, whenever it is asked. */
typedef struct homeward_class_stats {
    uint64_t accepted;   /* events taken, drops included */
    uint64_t in_lanes;   /* not yet in a frame */
    uint64_t in_log;     /* in frames that the stream has not acknowledged */
    uint64_t acked;      /* in the stream */
    uint64_t tombstoned; /* dropped or damaged, as far as reported in acknowledged frames */
    uint64_t refused;    /* HOMEWARD_FULL, and what an undecided scope had to give up */
    uint64_t retries;    /* frames sent again */
    uint64_t wire_bytes; /* frames as first sent */
    uint64_t json_bytes; /* the same before compression */
    uint64_t log_bytes;  /* of the frame log, in whole segments */
    uint64_t log_bytes_max;
} homeward_class_stats;

typedef struct homeward_stats {
    size_t size; /* sizeof(homeward_stats), set by the caller */
    homeward_class_stats audit;
    homeward_class_stats metric;
    uint64_t spools_recovering; /* left by dead processes and not yet sent */
    int connected;
} homeward_stats;
/* 0 when a pointer is NULL; fields beyond stats->size are left alone. */
int homeward_get_stats(const homeward_publisher *publisher, homeward_stats *stats);

/* Holds what the calling thread emits, until it is known whether the request is replayed in the
 * primary region, which then emits it again. bytes_max of each class; 0: 256 KiB. NULL: no memory,
 * or no publisher. */
homeward_scope *homeward_scope_begin(homeward_publisher *publisher, size_t bytes_max);
/* The calling thread is inside, or no longer: for a request that another thread goes on with.
 * homeward_scope_enter() returns 0 without memory. */
int homeward_scope_enter(homeward_scope *scope);
void homeward_scope_leave(homeward_scope *scope);
/* HOMEWARD_ACCEPTED, or HOMEWARD_HELD by the scope around it; after any other answer all is still
 * held: try again, or drop. */
homeward_result homeward_scope_publish(homeward_scope *scope);
void homeward_scope_drop(homeward_scope *scope);
size_t homeward_scope_held(const homeward_scope *scope);
/* Ends the handle; a scope that was not decided is published. NULL is allowed. */
void homeward_scope_end(homeward_scope *scope);

#ifdef __cplusplus
}
#endif

#endif
