#ifndef HOMEWARD_H
#define HOMEWARD_H

/** @file
 * Homeward's publisher for C and for whatever can call C: pkg-config --cflags --libs homeward
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
 * own at its first emit, with the same options and types, and sends nothing that its parent
 * emitted. A scope stays its parent's.
 *
 * The ABI only grows: options and stats begin with their size as the caller knows them, and codes
 * are never given another meaning. */

#include <stddef.h>
#include <stdint.h>

#include <homeward_values.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @def HOMEWARD_NODISCARD
 * The result must not be ignored: an audit event may be refused. It is [[nodiscard]] where the
 * language has that. */
#if (defined(__cplusplus) && __cplusplus >= 201703L) || \
    (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
#define HOMEWARD_NODISCARD [[nodiscard]]
#else
#define HOMEWARD_NODISCARD
#endif

/** The version of this header's ABI. */
#define HOMEWARD_ABI_VERSION 1
/** The version of the loaded library's ABI.
 * @return at least HOMEWARD_ABI_VERSION, or the library is too old for this header */
uint32_t homeward_abi_version(void);
/** The library's version.
 * @return a text such as "0.1.0" */
const char* homeward_version(void);

/** A publisher's handle. */
typedef struct homeward_publisher homeward_publisher;
/** An event type described by homeward_define(). */
typedef struct homeward_type homeward_type;
/** A request scope's handle. */
typedef struct homeward_scope homeward_scope;

/** What may happen to an event under pressure. */
typedef enum homeward_class HOMEWARD_ANY_INT {
    HOMEWARD_AUDIT = 1, /**< never lost in silence: refused with a code when there is no room */
    HOMEWARD_METRIC = 2 /**< may be dropped; the drop itself is reported */
} homeward_class;

/** What became of an event. */
typedef enum homeward_result HOMEWARD_ANY_INT {
    HOMEWARD_ACCEPTED = 0,   /**< it will reach the stream, whatever happens to this process */
    HOMEWARD_HELD = 1,       /**< by this thread's scope; not yet accepted */
    HOMEWARD_DROPPED = 2,    /**< metric only: no room; a tombstone will report it */
    HOMEWARD_FULL = 3,       /**< audit only: no room; not taken, the app decides */
    HOMEWARD_SCOPE_FULL = 4, /**< audit only: the scope holds all that it may; not taken */
    HOMEWARD_TOO_LARGE = 5,  /**< over 256 KiB or half a lane, or a text over 64 KiB; not taken */
    HOMEWARD_CLOSED = 6,     /**< after homeward_close(); not taken */
    /** A null handle, values that do not fit the type, or text that is no event; not taken, and
     * homeward_explain_json() says why. */
    HOMEWARD_INVALID = 7,
    HOMEWARD_INCOMPLETE = 8, /**< a required field was left out; not taken */
    /** A forked child that could not open a publisher of its own, as on_log says; it tries again in
     * the background; not taken. */
    HOMEWARD_UNAVAILABLE = 9
} homeward_result;
/** Explains a result to a person.
 * @param result any
 * @return one phrase; never NULL */
const char* homeward_result_text(homeward_result result);

/** What a logged frame survives. */
typedef enum homeward_durability HOMEWARD_ANY_INT {
    HOMEWARD_SURVIVES_PROCESS = 0, /**< the death of the process */
    HOMEWARD_SURVIVES_MACHINE = 1  /**< its restart too: fdatasync before sending */
} homeward_durability;

/** Zero or NULL means the default, for every field but the first three. */
typedef struct homeward_options {
    size_t size;           /**< sizeof(homeward_options) */
    const char* region;    /**< a-z 0-9 _ - */
    const char* app;       /**< a-z 0-9 _ - */
    const char* nats_urls; /**< separated by commas; nats://127.0.0.1:4222 */
    const char* spool_dir; /**< NULL: everything is in memory and dies with the process */
    /** /dev/shm if that is a tmpfs, else inside spool_dir. A container's /dev/shm is empty when it
     * starts anew: what was in a lane then is lost, and reported; inside spool_dir nothing is. */
    const char* lane_dir;
    homeward_durability durability; /**< what a logged frame survives */
    uint32_t linger_ms;             /**< 10, at most */
    size_t frame_bytes;             /**< 64 KiB */
    size_t lane_bytes;              /**< 1 MiB; a power of two */
    size_t lanes_max;               /**< 256 */
    size_t log_bytes_max;           /**< 256 MiB a class */
    size_t in_flight_max;           /**< 64 frames a class */
    size_t in_flight_bytes_max;     /**< 8 MiB a class */
    const char* credentials_file;   /**< NATS .creds */
    const char* nkey_seed_file;     /**< seed and public key of a NATS user */
    const char* tls_ca_file;        /**< PEM; the CA that signed the server's certificate */
    const char* tls_cert_file;      /**< PEM; the client's certificate, if the server asks */
    const char* tls_key_file;       /**< PEM; its key */
    /** Receives log lines, not ended by a zero; NULL: warnings go to standard error, unless there
     * is a log_socket. It is called from the publisher's threads, homeward_close() and
     * homeward_free(), never from an emit. It must not call the publisher. */
    void (*on_log)(void* context, const char* line, size_t line_bytes);
    void* log_context; /**< passed to on_log */
    /** The same lines as datagrams into this socket (one end of a socketpair), for languages whose
     * callbacks may not run on a foreign thread or in a forked child; 0: none. A line that finds no
     * room is dropped. The caller keeps it open until homeward_close() has returned. */
    int log_socket;
    size_t spool_bytes_max; /**< 4 GiB: all that lies in spool_dir, whoever has left it there */
    uint32_t frame_version; /**< 1; 2: signed, for consumers newer than 0.1 */
    /** How long acknowledged frames are kept, to be sent again when the NATS server has lost what
     * it acknowledged. 10,000; below 0: they are not kept. */
    int32_t resend_age_ms;
    size_t resend_bytes_max; /**< 8 MiB a class */
    /** Acknowledgements come to a random subject below this, where the login may subscribe;
     * "_INBOX.homeward.<region>.<app>". */
    const char* inbox_prefix;
} homeward_options;

/** Opens a publisher. An unreachable NATS server is no error: events wait.
 * @param options settings; read before the call returns
 * @param why a buffer for one sentence, or NULL, filled on an error
 * @param why_bytes its size; the sentence is cut to it
 * @return NULL if the options are invalid or a disk cannot be used */
homeward_publisher* homeward_open(const homeward_options* options, char* why, size_t why_bytes);

/** Emits an event given as JSON. It never waits. A thread's first call may allocate; later ones do
 * not.
 * @param publisher of homeward_open()
 * @param event_class the event type's class
 * @param type the event type's name
 * @param type_bytes its size
 * @param json one JSON object in UTF-8 with the type's fields. Its "time", if there is one, is the
 * row's time (RFC 3339 text, or whole microseconds since 1970-01-01 UTC); its "type" must be this
 * type
 * @param json_bytes its size
 * @param time_us microseconds since 1970-01-01 UTC, used if the object has no time; 0: now
 * @return HOMEWARD_ACCEPTED, or why not. HOMEWARD_INVALID: the leader could not read the text.
 *     HOMEWARD_INCOMPLETE: a field is absent that the type requires, for types that ship and types
 * of homeward_define_required() */
HOMEWARD_NODISCARD
homeward_result homeward_emit_json(homeward_publisher* publisher, homeward_class event_class,
                                   const char* type, size_t type_bytes, const char* json,
                                   size_t json_bytes, int64_t time_us);
/** Like homeward_emit_json(), but waits while the lane is full (HOMEWARD_FULL). Counts as refused
 * once, if it gives up.
 * @param publisher as for homeward_emit_json()
 * @param event_class as for homeward_emit_json()
 * @param type as for homeward_emit_json()
 * @param type_bytes as for homeward_emit_json()
 * @param json as for homeward_emit_json()
 * @param json_bytes as for homeward_emit_json()
 * @param time_us as for homeward_emit_json()
 * @param deadline_ms milliseconds from now
 * @return as homeward_emit_json() */
HOMEWARD_NODISCARD
homeward_result homeward_emit_json_wait(homeward_publisher* publisher, homeward_class event_class,
                                        const char* type, size_t type_bytes, const char* json,
                                        size_t json_bytes, int64_t time_us, uint32_t deadline_ms);

/** Explains why homeward_emit_json() returns HOMEWARD_INVALID or HOMEWARD_INCOMPLETE for an event.
 * @param publisher knows the types of homeward_define_required()
 * @param type as for homeward_emit_json()
 * @param type_bytes as for homeward_emit_json()
 * @param json as for homeward_emit_json()
 * @param json_bytes as for homeward_emit_json()
 * @param time_us as for homeward_emit_json()
 * @param why a buffer for one sentence, or NULL; empty if nothing is wrong
 * @param why_bytes its size; the sentence is cut to it
 * @return 1 if something is wrong, else 0 */
int homeward_explain_json(const homeward_publisher* publisher, const char* type, size_t type_bytes,
                          const char* json, size_t json_bytes, int64_t time_us, char* why,
                          size_t why_bytes);

/** Describes an event type.
 * @param publisher owns the type
 * @param name the type's name, ended by a zero
 * @param event_class its class
 * @param fields its fields; copied
 * @param field_count at most 64
 * @return NULL for an invalid name or kind, too many fields, or without memory. It ends with the
 *     publisher */
homeward_type* homeward_define(homeward_publisher* publisher, const char* name,
                               homeward_class event_class, const homeward_field* fields,
                               size_t field_count);
/** Like homeward_define(), with required fields: an event without one is HOMEWARD_INCOMPLETE, also
 * as JSON. Types that ship (audit, metric) need no names: theirs are known.
 * @param publisher owns the type
 * @param name the type's name, ended by a zero
 * @param event_class its class
 * @param fields its fields; copied
 * @param field_count at most 64
 * @param required names of required fields, each ended by a zero; copied
 * @param required_count their number
 * @return as homeward_define(); NULL also if a required name is not a field */
homeward_type* homeward_define_required(homeward_publisher* publisher, const char* name,
                                        homeward_class event_class, const homeward_field* fields,
                                        size_t field_count, const char* const* required,
                                        size_t required_count);
/** Emits an event given as values. It never waits.
 * @param publisher of homeward_open()
 * @param type of homeward_define()
 * @param values values[i] belongs to fields[i]: of its kind, or HOMEWARD_ABSENT. Texts are read
 * before the call returns
 * @param value_count the number of fields
 * @return HOMEWARD_ACCEPTED, or why not */
HOMEWARD_NODISCARD
homeward_result homeward_emit(homeward_publisher* publisher, const homeward_type* type,
                              const homeward_value* values, size_t value_count);
/** Like homeward_emit(), but waits while the lane is full, as homeward_emit_json_wait() does.
 * @param publisher as for homeward_emit()
 * @param type as for homeward_emit()
 * @param values as for homeward_emit()
 * @param value_count as for homeward_emit()
 * @param deadline_ms milliseconds from now
 * @return as homeward_emit() */
HOMEWARD_NODISCARD
homeward_result homeward_emit_wait(homeward_publisher* publisher, const homeward_type* type,
                                   const homeward_value* values, size_t value_count,
                                   uint32_t deadline_ms);
/** Counts an event that the caller refuses itself, since it can make neither JSON nor values of it:
 * for language bindings. As of an event that an emit refuses, on_log is told each reason once.
 * @param publisher of homeward_open()
 * @param event_class the event's class; any other number counts as HOMEWARD_AUDIT
 * @param why HOMEWARD_INVALID, HOMEWARD_INCOMPLETE or HOMEWARD_TOO_LARGE; any other result counts
 * as HOMEWARD_INVALID
 * @return the result that was counted; HOMEWARD_INVALID, uncounted, if the handle is NULL */
homeward_result homeward_refuse(homeward_publisher* publisher, homeward_class event_class,
                                homeward_result why);

/** How far events must be before homeward_flush() returns. */
typedef enum homeward_until HOMEWARD_ANY_INT {
    HOMEWARD_LOGGED = 0, /**< in the frame log */
    HOMEWARD_STREAM = 1  /**< acknowledged by JetStream */
} homeward_until;

/** Waits until everything accepted before the call is there.
 * @param publisher of homeward_open()
 * @param deadline_ms milliseconds from now
 * @param until the frame log, or JetStream's acknowledgement
 * @param events_left set to the number of events that are not there; may be NULL
 * @return 1 if all are there; 0 if the deadline passed or the handle is NULL */
int homeward_flush(homeward_publisher* publisher, uint32_t deadline_ms, homeward_until until,
                   uint64_t* events_left);
/** Refuses further events, flushes, and tells the leader that the origin has ended. Unsent events
 * stay in the spool for the next start; without a spool they are lost, and on_log says so. A later
 * call only tells on_log why events have been refused since. One thread.
 * @param publisher of homeward_open()
 * @param deadline_ms milliseconds from now
 * @param events_left set to the number of events that were not acknowledged; may be NULL
 * @return 1 if all were acknowledged, else 0 */
int homeward_close(homeward_publisher* publisher, uint32_t deadline_ms, uint64_t* events_left);
/** Frees the handle; closes it with 2000 ms first unless it is closed. Then it tells on_log why
 * events have been refused since. No other thread may use it, and its scopes must have ended.
 * @param publisher may be NULL */
void homeward_free(homeward_publisher* publisher);

/** Counts of one class. accepted = in_lanes + in_log + acked + tombstoned holds at every moment. */
typedef struct homeward_class_stats {
    uint64_t accepted;      /**< events taken, drops included */
    uint64_t in_lanes;      /**< not yet in a frame */
    uint64_t in_log;        /**< in frames that the stream has not acknowledged */
    uint64_t acked;         /**< in the stream */
    uint64_t tombstoned;    /**< dropped or damaged, as far as reported in acknowledged frames */
    uint64_t refused;       /**< not taken, and not among accepted */
    uint64_t retries;       /**< frames sent again */
    uint64_t wire_bytes;    /**< frames as first sent */
    uint64_t json_bytes;    /**< their events as JSON; of frames in columns, about */
    uint64_t log_bytes;     /**< that the frame log takes on disk */
    uint64_t log_bytes_max; /**< homeward_options.log_bytes_max */
} homeward_class_stats;

/** Events that were not taken, by reason; their sum is homeward_class_stats.refused. An emit
 * without a valid class or type counts as audit; without a publisher's handle nobody counts it. */
typedef struct homeward_refusals {
    uint64_t lane_full;       /**< HOMEWARD_FULL, and what an undecided scope had to give up */
    uint64_t scope_full;      /**< HOMEWARD_SCOPE_FULL */
    uint64_t too_large;       /**< HOMEWARD_TOO_LARGE */
    uint64_t type_unwritable; /**< HOMEWARD_FULL: the spool's disk refuses the type's description */
    uint64_t invalid;         /**< HOMEWARD_INVALID */
    uint64_t incomplete;      /**< HOMEWARD_INCOMPLETE */
    uint64_t unavailable;     /**< HOMEWARD_UNAVAILABLE */
    uint64_t closed;          /**< HOMEWARD_CLOSED */
} homeward_refusals;

/** What a publisher has done since it was opened. */
typedef struct homeward_stats {
    size_t size;                       /**< sizeof(homeward_stats), set by the caller */
    homeward_class_stats audit;        /**< of HOMEWARD_AUDIT */
    homeward_class_stats metric;       /**< of HOMEWARD_METRIC */
    uint64_t spools_recovering;        /**< left by dead processes and not yet sent */
    int connected;                     /**< 1: to a NATS server, now */
    homeward_refusals audit_refusals;  /**< audit events that were not taken */
    homeward_refusals metric_refusals; /**< metrics that were not taken */
    uint64_t metric_dropped;           /**< found no room; among accepted */
    uint64_t audit_scrubbed;  /**< homeward_emit(): text was not UTF-8 and has U+FFFD now */
    uint64_t metric_scrubbed; /**< the same for metrics */
} homeward_stats;
/** Reads the counts.
 * @param publisher of homeward_open()
 * @param stats its size is set; fields beyond it stay as they are
 * @return 1; 0 if a pointer is NULL */
int homeward_get_stats(const homeward_publisher* publisher, homeward_stats* stats);

/** Begins a request scope: it buffers what the calling thread emits until it is known whether the
 * request is replayed in the primary region, which then emits it again.
 * @param publisher it must outlive the scope
 * @param bytes_max buffer limit per class; 0: 256 KiB
 * @return NULL without memory or publisher */
homeward_scope* homeward_scope_begin(homeward_publisher* publisher, size_t bytes_max);
/** Puts the calling thread inside the scope, for a request that another thread continues.
 * @param scope of homeward_scope_begin()
 * @return 1; 0 without memory */
int homeward_scope_enter(homeward_scope* scope);
/** Takes the calling thread out of the scope. It decides nothing.
 * @param scope of homeward_scope_begin() */
void homeward_scope_leave(homeward_scope* scope);
/** Publishes all buffered events together.
 * @param scope of homeward_scope_begin()
 * @return HOMEWARD_ACCEPTED, or HOMEWARD_HELD if the outer scope buffers them; after any other
 * result all is still buffered: try again, or drop */
homeward_result homeward_scope_publish(homeward_scope* scope);
/** Discards all buffered events.
 * @param scope of homeward_scope_begin() */
void homeward_scope_drop(homeward_scope* scope);
/** Counts the buffered events of both classes.
 * @param scope of homeward_scope_begin()
 * @return events buffered now */
size_t homeward_scope_held(const homeward_scope* scope);
/** Frees the handle; an undecided scope is published first.
 * @param scope may be NULL */
void homeward_scope_end(homeward_scope* scope);

#ifdef __cplusplus
}
#endif

#endif
