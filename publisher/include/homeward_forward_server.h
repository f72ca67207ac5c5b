#ifndef HOMEWARD_FORWARD_SERVER_H
#define HOMEWARD_FORWARD_SERVER_H

/** @file
 * Forwarded calls for C, the side beside the leader. It is a library of its own, with libpqxx:
 * pkg-config --cflags --libs homeward-forward-server-c
 *
 *   static void place(void *context, homeward_tx *tx, const homeward_call *call) {
 *       const char *values[] = {call->key};
 *       homeward_rows *rows =
 *           homeward_tx_query(tx, "INSERT INTO orders (key) VALUES ($1)", values, 1);
 *       if (rows) homeward_tx_reply(tx, "placed", 6);       // else rolled back, with its SQLSTATE
 *       homeward_rows_free(rows);
 *   }
 *
 *   homeward_forward_server *server = homeward_forward_server_new(&options, why, sizeof why);
 *   homeward_forward_server_on(server, "order.place", place, NULL);
 *   homeward_forward_server_start(server, why, sizeof why);
 *
 * Handlers run on the library's threads. A language whose code may not run there passes no handler,
 * and its own threads take calls by homeward_forward_server_next(). Either way a call has one
 * transaction, READ COMMITTED, which the server begins and commits, together with the call's key
 * and reply. A handler may run several times for one key, and commits once: effects outside of the
 * transaction are its own concern.
 *
 * publisher/forward/README.md has the rules. What homeward.h says of texts, threads and the ABI
 * holds here as well. In the child of a process that forked, a server that was started before takes
 * no calls: make one there. */

#include <homeward_forward.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A server's handle. */
typedef struct homeward_forward_server homeward_forward_server;
/** The transaction of one call. One thread at a time. */
typedef struct homeward_tx homeward_tx;
/** What a statement has returned. One thread at a time; it may outlive its transaction. */
typedef struct homeward_rows homeward_rows;

/** Zero or NULL means the default, for every field but the first three. */
typedef struct homeward_forward_server_options {
    size_t size; /**< sizeof(homeward_forward_server_options) */
    /** The primary region's NATS server, region, app, login and log. */
    const homeward_options* connection;
    const char* database_url; /**< the leader; several hosts are tried in turn */
    size_t workers;           /**< 4; threads with a connection each: calls at the same time */
    size_t queue_max;         /**< 64 calls wait for a worker; further ones are answered busy */
    size_t reply_bytes_max;   /**< 512 KiB; a larger reply fails with the code reply_too_large */
    uint32_t deadline_max_ms; /**< 60,000; longer deadlines of callers are cut to this */
    const char* token_keys;   /**< HOMEWARD_REPLAY_KEYS; NULL: replies have no session token */
} homeward_forward_server_options;

/** What a caller wants. It belongs to the library, until the transaction has ended. */
typedef struct homeward_call {
    size_t size;           /**< as the library knows this struct; read no field beyond it */
    const char* region;    /**< of the caller, as its NATS login proves it */
    const char* app;       /**< of caller and server */
    const char* operation; /**< "order.place" */
    const char* key;       /**< the idempotency key */
    const char* body;      /**< any bytes; not ended by a zero */
    size_t body_bytes;     /**< its size */
    /** When the caller stops waiting, by CLOCK_MONOTONIC in microseconds; nothing is committed
     * after it. */
    int64_t deadline_us;
} homeward_call;

/** Runs one call, on a thread of the library: it ends with homeward_tx_reply() or
 * homeward_tx_fail(). If it calls neither, the transaction is rolled back by its last failed
 * statement. Transaction and call end with the function.
 * @param context of homeward_forward_server_on()
 * @param tx the transaction
 * @param call what the caller wants */
typedef void (*homeward_handler)(void* context, homeward_tx* tx, const homeward_call* call);

/** Makes a server. It connects to nothing yet.
 * @param options settings; read before the call returns
 * @param why a buffer for one sentence, or NULL, filled on an error
 * @param why_bytes its size; the sentence is cut to it
 * @return NULL for options that can never work */
homeward_forward_server* homeward_forward_server_new(const homeward_forward_server_options* options,
                                                     char* why, size_t why_bytes);
/** Adds an operation. Before homeward_forward_server_start(), and on one thread.
 * @param server of homeward_forward_server_new()
 * @param operation "order.place": words of a-z 0-9 _ - with dots between them
 * @param handler called by several threads at once; NULL: calls are taken by
 *     homeward_forward_server_next()
 * @param context passed to the handler
 * @return 1; 0 if it cannot be added: because the server was started, else
 *     homeward_forward_server_start() says why */
int homeward_forward_server_on(homeward_forward_server* server, const char* operation,
                               homeward_handler handler, void* context);
/** Starts the threads and subscribes. A database or NATS server that cannot be reached is no error:
 * it is connected to later.
 * @param server of homeward_forward_server_new()
 * @param why a buffer for one sentence, or NULL, filled on an error
 * @param why_bytes its size; the sentence is cut to it
 * @return 1; 0 for options or operations that can never work, and if it was started before */
int homeward_forward_server_start(homeward_forward_server* server, char* why, size_t why_bytes);

/** What homeward_forward_server_next() has found. */
typedef enum homeward_next HOMEWARD_ANY_INT {
    HOMEWARD_NEXT_NONE = 0,  /**< no call came in time */
    HOMEWARD_NEXT_CALL = 1,  /**< a call: end it by homeward_tx_reply() or homeward_tx_fail() */
    HOMEWARD_NEXT_CLOSED = 2 /**< the server has closed, and no call comes any more */
} homeward_next;
/** Waits for a call of an operation without a handler. Its transaction has begun. Let as many
 * threads take calls as there are workers: a call that nobody takes expires. A call that is taken
 * and never ended keeps its worker for ever.
 * @param server of homeward_forward_server_new()
 * @param wait_ms how long to wait
 * @param tx set to the call's transaction, or to NULL
 * @return what was found; HOMEWARD_NEXT_CLOSED in the child of a process that forked, too */
homeward_next homeward_forward_server_next(homeward_forward_server* server, uint32_t wait_ms,
                                           homeward_tx** tx);

/** Takes no further calls and finishes those that it has. Calls without a handler still have to be
 * taken meanwhile.
 * @param server of homeward_forward_server_new()
 * @param deadline_ms how long; handlers that run longer are waited for all the same
 * @return 1 if every call was finished and answered; 0 if not, as when NATS was lost meanwhile, and
 *     in the child of a process that forked */
int homeward_forward_server_close(homeward_forward_server* server, uint32_t deadline_ms);
/** Frees a server; first it closes with a deadline of 10 s, unless it is closed. No thread may be
 * in homeward_forward_server_next(). In the child of a process that forked it does nothing to a
 * server that was started before.
 * @param server may be NULL */
void homeward_forward_server_free(homeward_forward_server* server);

/** What a server has done since it was made. */
typedef struct homeward_forward_server_stats {
    size_t size;           /**< sizeof(homeward_forward_server_stats), set by the caller */
    uint64_t joined;       /**< answers to messages that came while their call was queued or ran */
    uint64_t queued;       /**< now */
    uint64_t running;      /**< now */
    uint64_t retried;      /**< transactions run again: deadlock, lost connection, failover */
    uint64_t in_doubt;     /**< COMMITs whose answer was lost; each was settled by looking */
    uint64_t answered[16]; /**< by homeward_outcome */
} homeward_forward_server_stats;
/** Queries what a server has done.
 * @param server of homeward_forward_server_new()
 * @param stats the result
 * @return 1; 0 if a pointer is NULL */
int homeward_forward_server_get_stats(const homeward_forward_server* server,
                                      homeward_forward_server_stats* stats);

/** What the caller wants.
 * @param tx a transaction that has not ended
 * @return it belongs to the transaction */
const homeward_call* homeward_tx_call(const homeward_tx* tx);
/** Runs a statement in the call's transaction. After a statement that failed, the transaction can
 * only be rolled back, unless a savepoint was set. Statements are cancelled at the call's deadline.
 * Do not run COMMIT or ROLLBACK: that is found out, and the call fails.
 * @param tx a transaction that has not ended
 * @param sql one statement, with $1, $2 …; several with ; between them if `values` is empty
 * @param values texts, NULL for SQL's NULL
 * @param count the number of values
 * @return for homeward_rows_free(); NULL on an error, see homeward_tx_sqlstate() */
HOMEWARD_NODISCARD homeward_rows* homeward_tx_query(homeward_tx* tx, const char* sql,
                                                    const char* const* values, size_t count);
/** The SQLSTATE of the last statement.
 * @param tx a transaction that has not ended
 * @return "" if it did not fail, or not by PostgreSQL; valid until the next statement */
const char* homeward_tx_sqlstate(const homeward_tx* tx);
/** What was wrong with the last statement.
 * @param tx a transaction that has not ended
 * @return PostgreSQL's message; "" if it did not fail; valid until the next statement */
const char* homeward_tx_error(const homeward_tx* tx);
/** Ends the call well: the server stores key and reply, commits, and answers. A taken call's
 * transaction is not valid any more after it.
 * @param tx a transaction that has not ended
 * @param body any bytes
 * @param body_bytes its size */
void homeward_tx_reply(homeward_tx* tx, const char* body, size_t body_bytes);
/** Rolls back, and refuses the call: code and text are stored as the answer to its key. A taken
 * call's transaction is not valid any more after it.
 * @param tx a transaction that has not ended
 * @param code for programs, "out_of_stock": 1 to 64 of A-Z a-z 0-9 _ . - ; NULL: by the last
 *     statement that failed. Its SQLSTATE is the code then, and after a deadlock or a lost
 *     connection the call runs again
 * @param text for people; it becomes the caller's `body`; may be NULL */
void homeward_tx_fail(homeward_tx* tx, const char* code, const char* text);

/** The number of rows.
 * @param rows of homeward_tx_query()
 * @return 0 for a statement that returns none */
size_t homeward_rows_count(const homeward_rows* rows);
/** The number of columns.
 * @param rows of homeward_tx_query()
 * @return 0 for a statement that returns no rows */
size_t homeward_rows_columns(const homeward_rows* rows);
/** The number of rows that the statement has written.
 * @param rows of homeward_tx_query()
 * @return 0 for a statement that writes none */
size_t homeward_rows_affected(const homeward_rows* rows);
/** The name of a column.
 * @param rows of homeward_tx_query()
 * @param column from 0
 * @return it belongs to the rows; NULL if there is no such column */
const char* homeward_rows_name(const homeward_rows* rows, size_t column);
/** One value, as PostgreSQL prints it.
 * @param rows of homeward_tx_query()
 * @param row from 0
 * @param column from 0
 * @return it belongs to the rows; NULL for SQL's NULL, and if there is no such value */
const char* homeward_rows_value(const homeward_rows* rows, size_t row, size_t column);
/** Frees rows.
 * @param rows may be NULL */
void homeward_rows_free(homeward_rows* rows);

#ifdef __cplusplus
}
#endif

#endif
