#ifndef HOMEWARD_H
#define HOMEWARD_H

/* Homeward's publisher for C and for whatever can call C: pkg-config --cflags --libs homeward
 *
 *   homeward_options options = {.size = sizeof options, .region = "ams", .app = "shop"};
 *   char why[256];
 *   homeward_publisher *publisher = homeward_open(&options, why, sizeof why);
 *   homeward_result result =
 *       homeward_emit_json(publisher, HOMEWARD_AUDIT, "audit", 5, json, strlen(json), 0);
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

/* A result that must not be ignored, where the language can say so: an audit event may be refused. */
#if (defined(__cplusplus) && __cplusplus >= 201703L) || \
    (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
#define HOMEWARD_NODISCARD [[nodiscard]]
#else
#define HOMEWARD_NODISCARD
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
    HOMEWARD_TOO_LARGE = 5,  /* over 256 KiB or half a lane, or a text over 64 KiB; not taken */
    HOMEWARD_CLOSED = 6,     /* after homeward_close(); not taken */
    /* A null handle, values that do not fit the type, or text that is no event; not taken, and
     * homeward_explain_json() says why. */
    HOMEWARD_INVALID = 7,
    HOMEWARD_INCOMPLETE = 8, /* a required field was left out; not taken */
    /* A forked child that could not open a publisher of its own, as on_log says; it tries again in
     * the background; not taken. */
    HOMEWARD_UNAVAILABLE = 9
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
    /* /dev/shm if that is a tmpfs, else inside spool_dir. A container's /dev/shm is empty when it
     * starts anew: what was in a lane then is lost, and reported; inside spool_dir nothing is. */
    const char *lane_dir;
    homeward_durability durability;
    uint32_t linger_ms;          /* 10, at most */
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
    /* The same lines as datagrams into this socket (one end of a socketpair), for languages whose
     * callbacks may not run on a foreign thread or in a forked child; 0: none. A line that finds no
     * room is dropped. The caller keeps it open until homeward_close() has returned. */
    int log_socket;
    size_t spool_bytes_max; /* 4 GiB: all that lies in spool_dir, whoever has left it there */
    uint32_t frame_version; /* 1; 2: signed, for consumers newer than 0.1 */
    /* Acknowledged frames stay so long, and so many bytes of them a class, to be sent again when the
     * NATS server has lost what it acknowledged. 10,000; below 0: they are not kept. 8 MiB. */
    int32_t resend_age_ms;
    size_t resend_bytes_max;
    /* Acknowledgements come to a random subject below this, where the login may subscribe;
     * "_INBOX.homeward.<region>.<app>". */
    const char *inbox_prefix;
} homeward_options;

/* NULL when the options are bad or a disk cannot be used; `why`, if it is not NULL, then holds one
 * sentence, cut to why_bytes. That NATS is away is no error: events wait. */
homeward_publisher *homeward_open(const homeward_options *options, char *why, size_t why_bytes);

/* One JSON object with the fields of the event type, in UTF-8. Its own "time" counts (RFC 3339 text,
 * or whole microseconds since 1970-01-01 UTC), and its own "type" must be this one. time_us:
 * microseconds since 1970-01-01 UTC, if the object has no time; 0: now. A text that the leader could
 * not read is HOMEWARD_INVALID; one without a required field is HOMEWARD_INCOMPLETE: of the types that
 * ship, and of those that homeward_define_required() has described. A thread's first call may allocate; no
 * later one does. */
HOMEWARD_NODISCARD
homeward_result homeward_emit_json(homeward_publisher *publisher, homeward_class event_class,
                                   const char *type, size_t type_bytes, const char *json,
                                   size_t json_bytes, int64_t time_us);
/* Like homeward_emit_json(), but waits up to deadline_ms while the lane is full (HOMEWARD_FULL). Each
 * failed try counts as refused. */
HOMEWARD_NODISCARD
homeward_result homeward_emit_json_wait(homeward_publisher *publisher, homeward_class event_class,
                                        const char *type, size_t type_bytes, const char *json,
                                        size_t json_bytes, int64_t time_us, uint32_t deadline_ms);

/* Why homeward_emit_json() finds the same event HOMEWARD_INVALID or HOMEWARD_INCOMPLETE: one
 * sentence, cut to why_bytes. 0, and an empty text, if it does not. */
int homeward_explain_json(const homeward_publisher *publisher, const char *type, size_t type_bytes,
                          const char *json, size_t json_bytes, int64_t time_us, char *why,
                          size_t why_bytes);

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
    HOMEWARD_TEXT = 5,      /* also uuid, inet, values of an enum, and decimals such as "12.30" */
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
/* As homeward_define(), and an event without one of the required fields is HOMEWARD_INCOMPLETE, also
 * as JSON. NULL, too, if one of these names is no field's. The types that ship (audit, metric) need
 * no names: theirs are known. */
homeward_type *homeward_define_required(homeward_publisher *publisher, const char *name,
                                        homeward_class event_class, const homeward_field *fields,
                                        size_t field_count, const char *const *required,
                                        size_t required_count);
/* values[i] is of fields[i]: of its kind, or HOMEWARD_ABSENT. Texts are read before this returns, and
 * need not live longer. */
HOMEWARD_NODISCARD
homeward_result homeward_emit(homeward_publisher *publisher, const homeward_type *type,
                              const homeward_value *values, size_t value_count);
/* As homeward_emit(), waiting for room as homeward_emit_json_wait() does. */
HOMEWARD_NODISCARD
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

/* An object or an array for a HOMEWARD_JSON field, built up value by value:
 *
 *   homeward_builder *detail = homeward_object();
 *   homeward_add(detail, "ip", homeward_text(ip, strlen(ip)));
 *   homeward_add(detail, "tries", homeward_integer(3));
 *   values[5] = homeward_built(detail);
 *
 * One thread at a time. NULL: no memory. */
typedef struct homeward_builder homeward_builder;
homeward_builder *homeward_object(void);
homeward_builder *homeward_array(void);
/* key: of an object, ended by a zero; NULL for an array. HOMEWARD_ABSENT adds null, a timestamp its
 * microseconds, HOMEWARD_JSON what another builder has built. 1; or 0, and nothing is added: a null
 * pointer, a key where none belongs, or no memory. */
int homeward_add(homeward_builder *builder, const char *key, homeward_value value);
/* As HOMEWARD_JSON; borrowed until the builder is changed or freed. */
homeward_value homeward_built(const homeward_builder *builder);
/* Empty again; keeps its memory. */
void homeward_clear(homeward_builder *builder);
void homeward_builder_free(homeward_builder *builder);

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
    uint64_t refused;    /* not taken, and not among accepted */
    uint64_t retries;    /* frames sent again */
    uint64_t wire_bytes; /* frames as first sent */
    uint64_t json_bytes; /* the same before compression */
    uint64_t log_bytes;  /* that the frame log takes on disk */
    uint64_t log_bytes_max;
} homeward_class_stats;

/* Events that were not taken, by reason; their sum is homeward_class_stats.refused. */
typedef struct homeward_refusals {
    uint64_t lane_full; /* HOMEWARD_FULL, and what an undecided scope had to give up */
    uint64_t scope_full;
    uint64_t too_large;
    uint64_t type_unwritable; /* HOMEWARD_FULL: the spool's disk refuses the type's description */
    uint64_t invalid;
    uint64_t incomplete;
    uint64_t unavailable;
    uint64_t closed;
} homeward_refusals;

typedef struct homeward_stats {
    size_t size; /* sizeof(homeward_stats), set by the caller */
    homeward_class_stats audit;
    homeward_class_stats metric;
    uint64_t spools_recovering; /* left by dead processes and not yet sent */
    int connected;
    homeward_refusals audit_refusals;
    homeward_refusals metric_refusals;
    uint64_t metric_dropped;  /* found no room; among accepted */
    uint64_t audit_scrubbed;  /* homeward_emit() with text that was not UTF-8, where U+FFFD is now */
    uint64_t metric_scrubbed;
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
