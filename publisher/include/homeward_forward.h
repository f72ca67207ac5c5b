#ifndef HOMEWARD_FORWARD_H
#define HOMEWARD_FORWARD_H

/** @file
 * Forwarded calls for C, the caller's side. It is in libhomeward, and needs NATS only:
 *
 *   homeward_options connection = {.size = sizeof connection, .region = "ams", .app = "shop"};
 *   homeward_client_options options = {.size = sizeof options, .connection = &connection};
 *   char why[256];
 *   homeward_client *primary = homeward_client_open(&options, why, sizeof why);
 *   homeward_call_options call = {.size = sizeof call, .key = id};
 *   homeward_reply *reply = homeward_client_call(primary, "order.place", body, strlen(body),
 * &call); if (reply && reply->outcome == HOMEWARD_OUTCOME_OK) puts(reply->body);
 *   homeward_reply_free(reply);
 *
 * publisher/forward/README.md has the rules. What homeward.h says of texts, threads and the ABI
 * holds here as well. In the child of a process that forked, calls by a client that was made before
 * are HOMEWARD_OUTCOME_UNAVAILABLE, and nothing is sent: make one there. */

#include <homeward.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How a call ended, as far as its caller can know. */
typedef enum homeward_outcome HOMEWARD_ANY_INT {
    HOMEWARD_OUTCOME_OK = 0, /**< committed, by this call or by an earlier one with this key */
    HOMEWARD_OUTCOME_FAILED =
        1, /**< not done: the handler refused; `code` and `body` are its own */
    HOMEWARD_OUTCOME_ABANDONED = 2,     /**< not done: it was abandoned, and never runs */
    HOMEWARD_OUTCOME_REFUSED = 3,       /**< not done: it cannot run as it is; `body` says why */
    HOMEWARD_OUTCOME_BUSY = 4,          /**< not done: try again after `retry_after_ms` */
    HOMEWARD_OUTCOME_EXPIRED = 5,       /**< not done: the deadline passed before COMMIT */
    HOMEWARD_OUTCOME_UNAVAILABLE = 6,   /**< not done: leader or NATS cannot be reached */
    HOMEWARD_OUTCOME_NO_RESPONDERS = 7, /**< not done: no server serves this operation */
    HOMEWARD_OUTCOME_NOT_FOUND = 8,     /**< no call with this key has ended so far */
    HOMEWARD_OUTCOME_IN_DOUBT = 9       /**< nobody knows; homeward_client_outcome() tells later */
} homeward_outcome;
/** The name of an outcome, as in logs and metric labels.
 * @param outcome any
 * @return a text such as "in_doubt"; "unknown" for a code that this version does not know */
const char* homeward_outcome_name(homeward_outcome outcome);

/** Whether the local replica has what a call has committed. */
typedef enum homeward_replica_state HOMEWARD_ANY_INT {
    HOMEWARD_REPLICA_NOT_ASKED = 0, /**< there is nothing to wait for, or nobody to ask */
    HOMEWARD_REPLICA_COVERED = 1,   /**< a read on the replica sees the write */
    HOMEWARD_REPLICA_BEHIND = 2,    /**< not within `replica_wait_max_ms` */
    HOMEWARD_REPLICA_AWAY = 3       /**< it does not answer, or the token says nothing about it */
} homeward_replica_state;

/** A client's handle. */
typedef struct homeward_client homeward_client;

/** Zero or NULL means the default, for every field but the first two. */
typedef struct homeward_client_options {
    size_t size; /**< sizeof(homeward_client_options) */
    /** The region's NATS server, region, app, login and log; the rest of it is the publisher's. */
    const homeward_options* connection;
    uint32_t deadline_ms; /**< 2,000; of a call that names none */
    /** 500; after which silence a call is sent again. It doubles. */
    uint32_t retry_after_ms;
    uint32_t replica_wait_max_ms; /**< 100; how long a call waits for the local replica */
    /** Waits until the local replica has what a session token names; NULL: nobody waits. It is
     * called on the thread that calls, once for each call that has committed. Ask the replica with
     * homeward_replica_sql() and homeward_token_coverage(). Return HOMEWARD_REPLICA_AWAY for a
     * token that is not asked: the regions' keys or engines differ. */
    homeward_replica_state (*replica_wait)(void* context, const char* session_token,
                                           uint32_t wait_max_ms);
    void* replica_context; /**< passed to replica_wait */
} homeward_client_options;

/** Settings of one call; zero or NULL means the default. */
typedef struct homeward_call_options {
    size_t size; /**< sizeof(homeward_call_options) */
    /** The same for every retry of one call, in any process: 1 to 128 printable ASCII characters
     * without spaces. NULL: a random key. */
    const char* key;
    uint32_t deadline_ms;      /**< that of the client */
    int32_t skip_replica_wait; /**< 1: do not wait for the local replica */
} homeward_call_options;

/** How a call ended. It belongs to the caller. Texts end with a zero and are never NULL. */
typedef struct homeward_reply {
    size_t size;              /**< as the library knows this struct; read no field beyond it */
    homeward_outcome outcome; /**< alone says whether the call took effect */
    int32_t was_stored;       /**< 1: an earlier call with this key has done it */
    const char* key;          /**< of the call, to ask for its outcome later */
    const char* body;         /**< ok: the handler's reply, any bytes; else a text for a person */
    size_t body_bytes;        /**< without the zero at its end */
    /** failed: the handler's code, or an SQLSTATE. ok: "", or reply_too_large: the stored reply
     * does not fit into a message any more, and `body` says so. */
    const char* code;
    /** Of the commit, for the session's cookie; "" if the server has no token keys. */
    const char* session_token;
    homeward_replica_state replica; /**< whether the local replica has the commit */
    uint32_t retry_after_ms;        /**< busy: when to try again */
    uint32_t attempts;              /**< how often the call was sent */
} homeward_reply;

/** Makes a client, which keeps a connection from a thread of its own. A NATS server that cannot be
 * reached is no error.
 * @param options settings; read before the call returns
 * @param why a buffer for one sentence, or NULL, filled on an error
 * @param why_bytes its size; the sentence is cut to it
 * @return NULL for options that can never work */
homeward_client* homeward_client_open(const homeward_client_options* options, char* why,
                                      size_t why_bytes);
/** Runs an operation in the primary region, once, however often it is sent. It sends again by
 * itself when an answer is lost, the servers are busy, or the leader has moved. It blocks until the
 * outcome is known or the deadline has passed, then up to `replica_wait_max_ms`.
 * @param client of homeward_client_open()
 * @param operation "order.place"
 * @param body any bytes, up to the NATS servers' max_payload less 1 KiB
 * @param body_bytes its size
 * @param options NULL for the default
 * @return for homeward_reply_free(). NULL: a null pointer, or no memory. In the latter case the
 *     call may have run, and homeward_client_outcome() tells it by its key */
HOMEWARD_NODISCARD homeward_reply* homeward_client_call(homeward_client* client,
                                                        const char* operation, const char* body,
                                                        size_t body_bytes,
                                                        const homeward_call_options* options);
/** Queries how a call ended, after HOMEWARD_OUTCOME_IN_DOUBT or in another process. It waits for a
 * transaction of that key which is under way.
 * @param client of homeward_client_open()
 * @param key of the call
 * @param deadline_ms how long to try; 0: that of the client
 * @return ok, failed or abandoned; not_found if none has ended; else why it cannot be told. NULL: a
 *     null pointer, or no memory */
HOMEWARD_NODISCARD homeward_reply* homeward_client_outcome(homeward_client* client, const char* key,
                                                           uint32_t deadline_ms);
/** Makes sure that a call which has not committed never does. After it the outcome is final.
 * @param client of homeward_client_open()
 * @param key of the call
 * @param deadline_ms how long to try; 0: that of the client
 * @return ok or failed if the call was faster; abandoned; else why it cannot be told. NULL: a null
 *     pointer, or no memory */
HOMEWARD_NODISCARD homeward_reply* homeward_client_abandon(homeward_client* client, const char* key,
                                                           uint32_t deadline_ms);
/** Frees a reply with its texts.
 * @param reply may be NULL */
void homeward_reply_free(homeward_reply* reply);
/** Whether there is a connection to NATS.
 * @param client of homeward_client_open()
 * @return 1 or 0, as of now */
int homeward_client_is_connected(const homeward_client* client);
/** Ends the connection. No call may be under way. In the child of a process that forked it does
 * nothing to a client that was made before.
 * @param client may be NULL */
void homeward_client_free(homeward_client* client);

#ifdef __cplusplus
}
#endif

#endif
