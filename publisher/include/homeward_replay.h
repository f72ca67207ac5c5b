#ifndef HOMEWARD_REPLAY_H
#define HOMEWARD_REPLAY_H

/** @file
 * The replay helper as a C ABI: what to answer to a request that a read replica cannot serve.
 *
 *   cc app.c $(pkg-config --cflags --libs homeward)
 *
 * It is built on homeward/replay/decide.hpp, connection_url.hpp and token.hpp, which say more. All
 * of it is pure or only reads the environment: no network, no threads. Any thread may call any
 * function. No function keeps a pointer that it was given, and none throws. Texts end with a zero
 * and belong to this library unless they are written into the caller's buffer. Like homeward.h, the
 * ABI only grows: structs begin with their size, and codes never change their meaning. */

#include <stddef.h>
#include <stdint.h>

#include <homeward_enum.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a database error means, whatever the engine. */
typedef enum homeward_cause HOMEWARD_ANY_INT {
    HOMEWARD_CAUSE_NONE = 0,
    HOMEWARD_CAUSE_READ_ONLY = 1,   /**< a write, to a server or in a transaction that only reads */
    HOMEWARD_CAUSE_UNSUPPORTED = 2, /**< what a read replica cannot do */
    HOMEWARD_CAUSE_UNKNOWN_NAME = 3,    /**< a table, column or function that it does not have */
    HOMEWARD_CAUSE_CONFLICT = 4,        /**< cancelled for another, or for the log of a replica */
    HOMEWARD_CAUSE_CONNECTION = 5,      /**< lost or refused */
    HOMEWARD_CAUSE_OUTCOME_UNKNOWN = 6, /**< a COMMIT of which nobody knows */
    HOMEWARD_CAUSE_OTHER = 7            /**< the app's own */
} homeward_cause;
/** What an SQLSTATE means.
 * @param sqlstate PostgreSQL's, "25006"; NULL and "" are no error
 * @return its cause */
homeward_cause homeward_cause_of_sqlstate(const char* sqlstate);
/** What an error of MySQL or MariaDB means.
 * @param code of mysql_errno(); 0 for no error; 4031, which both have, counts as MySQL's
 * @param sqlstate of mysql_sqlstate(), or NULL
 * @return its cause */
homeward_cause homeward_cause_of_mysql(uint32_t code, const char* sqlstate);
/** What an error of MongoDB means.
 * @param code of a command error or a write error; 0 for no error
 * @param label "UnknownTransactionCommitResult" or "TransientTransactionError" if the error has it,
 *        or NULL
 * @return its cause */
homeward_cause homeward_cause_of_mongodb(int32_t code, const char* label);
/** What an error reply of Redis or Valkey means.
 * @param error_line "READONLY You can't …"; NULL and "" are no error
 * @return its cause */
homeward_cause homeward_cause_of_redis(const char* error_line);
/** What a result code of SQLite means, under LiteFS.
 * @param extended_code of sqlite3_extended_errcode()
 * @return its cause */
homeward_cause homeward_cause_of_sqlite(int32_t extended_code);
/** The name of a cause as in rules.json.
 * @param cause any
 * @return a text such as "read_only" */
const char* homeward_cause_name(homeward_cause cause);

/** What a database server is. */
typedef enum homeward_server_role HOMEWARD_ANY_INT {
    HOMEWARD_ROLE_UNKNOWN = 0,          /**< not asked */
    HOMEWARD_ROLE_PRIMARY = 1,          /**< takes writes */
    HOMEWARD_ROLE_STANDBY = 2,          /**< a read replica */
    HOMEWARD_ROLE_READ_ONLY_PRIMARY = 3 /**< no standby, but default_transaction_read_only is on */
} homeward_server_role;

/** What a session has seen, against what the local replica has. */
typedef enum homeward_coverage HOMEWARD_ANY_INT {
    HOMEWARD_NOT_ASKED = 0,          /**< no token, or the app takes any state */
    HOMEWARD_COVERED = 1,            /**< the replica has all that the session has seen */
    HOMEWARD_BEHIND = 2,             /**< it does not */
    HOMEWARD_DIFFERENT_TIMELINE = 3, /**< the token is of another timeline or system */
    HOMEWARD_OTHER_HISTORY = 3,      /**< the name of version 0.1 */
    HOMEWARD_POSITION_UNKNOWN = 4,   /**< the replica cannot be queried */
    HOMEWARD_PRIMARY_ONLY = 5        /**< the app wants this read from the primary */
} homeward_coverage;

/** homeward_situation.flags */
enum {
    HOMEWARD_HANDLER_HAS_RUN = 1,   /**< homeward_decide() is asked after the handler */
    HOMEWARD_WAS_REPLAYED = 2,      /**< the request bears fly-replay-src */
    HOMEWARD_REPLAY_HAS_FAILED = 4, /**< it bears fly-replay-failed */
    HOMEWARD_IS_WEBSOCKET = 8,      /**< an upgrade, which cannot be replayed */
    HOMEWARD_LENGTH_UNKNOWN = 16    /**< a body without Content-Length */
};
/** What happened to one request. */
typedef struct homeward_situation {
    size_t size;                      /**< sizeof(homeward_situation) */
    const char* method;               /**< "GET" */
    uint32_t flags;                   /**< HOMEWARD_HANDLER_HAS_RUN and the like */
    homeward_cause cause;             /**< of the error that the handler met */
    homeward_server_role server_role; /**< of the connection that met the error */
    homeward_coverage coverage;       /**< of homeward_token_coverage() */
    uint64_t body_bytes;              /**< as Content-Length says, or as far as it was read */
} homeward_situation;

/** homeward_policy.flags; decide.hpp has the trade-off of each. */
enum {
    HOMEWARD_WRITES_BY_METHOD = 1,       /**< replay write methods before the handler runs */
    HOMEWARD_UNSUPPORTED_ON_STANDBY = 2, /**< replay 0A000 */
    HOMEWARD_SCHEMA_LAG = 4,             /**< replay 42P01, 42703, 42883 */
    HOMEWARD_RECOVERY_CONFLICT = 8,      /**< replay 40001, 40P01 */
    HOMEWARD_REPLICA_DOWN = 16,          /**< replay a read whose replica is down */
    HOMEWARD_LARGE_WRITES_HERE = 32,     /**< run large writes here */
    HOMEWARD_WEBSOCKETS_HERE = 64,       /**< open WebSockets here */
    HOMEWARD_POLICY_DEFAULT = 2 + 8 + 16 /**< the flags of a NULL policy */
};
/** How eagerly to replay. */
typedef struct homeward_policy {
    size_t size;            /**< sizeof(homeward_policy) */
    uint32_t flags;         /**< HOMEWARD_WRITES_BY_METHOD and the like */
    uint32_t retry_after_s; /**< seconds in Retry-After of a 503; 5 */
} homeward_policy;

/** What to do with a request. */
typedef enum homeward_verdict HOMEWARD_ANY_INT {
    HOMEWARD_PROCEED = 0, /**< answer as the app would */
    HOMEWARD_REPLAY = 1,  /**< answer 409 with fly-replay: region=PRIMARY */
    HOMEWARD_REFUSE = 2   /**< answer `status` */
} homeward_verdict;
/** The result of homeward_decide(). */
typedef struct homeward_decision {
    size_t size;              /**< sizeof(homeward_decision), set by the caller */
    homeward_verdict verdict; /**< what to do */
    int status;               /**< HTTP status; 0 for HOMEWARD_PROCEED */
    uint32_t retry_after_s;   /**< seconds; 0: no Retry-After */
    const char* reason;       /**< "read_only_error": for logs and metric labels */
    const char* text;         /**< one sentence for an operator */
} homeward_decision;

/** Decides about one request. Call it before the handler runs, and after the handler met an error.
 * @param primary PRIMARY_REGION; NULL or "": there is only one region
 * @param current FLY_REGION; NULL or "": there is only one region
 * @param situation what happened
 * @param policy NULL for the default
 * @param decision the result
 * @return 1; 0 if situation or decision is NULL or too small, and the decision stays as it was */
int homeward_decide(const char* primary, const char* current, const homeward_situation* situation,
                    const homeward_policy* policy, homeward_decision* decision);
/** Formats the fly-replay header that sends a request to a region.
 * @param region the region's name
 * @param value a buffer for the header's value
 * @param value_bytes its size
 * @return 1; 0 if it is no region name or does not fit */
int homeward_replay_to(const char* region, char* value, size_t value_bytes);

/** Makes DATABASE_URL of the current region from PRIMARY_REGION, FLY_REGION and DATABASE_REPLICA_…
 * (publisher/replay/RULES.md).
 * @param url a buffer for the connection string
 * @param url_bytes its size
 * @param is_replica set to 1 for a replica, else 0; may be NULL
 * @param why a buffer for one sentence, or NULL; it repeats nothing of the connection string
 * @param why_bytes its size; the sentence is cut to it
 * @return 1; 0 on an error */
int homeward_database_url(char* url, size_t url_bytes, int* is_replica, char* why,
                          size_t why_bytes);

/** Keys of session tokens: a session reads what it has written. The app runs the SQL on its own
 * connections and passes the one row as texts; NULL for SQL's NULL. */
typedef struct homeward_tokens homeward_tokens;
/** Reads the keys of session tokens.
 * @param keys HOMEWARD_REPLAY_KEYS, "k2:<hex>,k1:<hex>", the current one first
 * @param why a buffer for one sentence, or NULL
 * @param why_bytes its size; the sentence is cut to it
 * @return NULL if the keys are invalid */
homeward_tokens* homeward_tokens_new(const char* keys, char* why, size_t why_bytes);
/** Frees the keys.
 * @param tokens may be NULL */
void homeward_tokens_free(homeward_tokens* tokens);

/** Sizes of tokens and rows. */
enum {
    HOMEWARD_TOKEN_BYTES = 257,     /**< a token's buffer, with the zero at its end */
    HOMEWARD_COMMITTED_COLUMNS = 5, /**< of homeward_committed_sql() */
    HOMEWARD_REPLICA_COLUMNS = 4    /**< of homeward_replica_sql() */
};
/** The query to run after COMMIT on the same connection.
 * @return SQL for homeward_token_sign() */
const char* homeward_committed_sql(void);
/** Signs a token of what a session has committed.
 * @param tokens of homeward_tokens_new()
 * @param row the row of homeward_committed_sql()
 * @param token a buffer of HOMEWARD_TOKEN_BYTES
 * @param token_bytes its size
 * @return 1; 0 if it is no such row or does not fit */
int homeward_token_sign(const homeward_tokens* tokens, const char* const row[5], char* token,
                        size_t token_bytes);
/** The query to run on the replica.
 * @return SQL for homeward_token_coverage() */
const char* homeward_replica_sql(void);
/** Compares a token with a replica.
 * @param tokens of homeward_tokens_new()
 * @param token of the session
 * @param row the row of homeward_replica_sql(); NULL: the replica did not answer
 * @return HOMEWARD_NOT_ASKED for a token that is forged, cut, too old or of an unknown key */
homeward_coverage homeward_token_coverage(const homeward_tokens* tokens, const char* token,
                                          const char* const row[4]);

/** A database engine. */
typedef enum homeward_engine HOMEWARD_ANY_INT {
    HOMEWARD_POSTGRESQL = 0, /**< PostgreSQL */
    HOMEWARD_MYSQL = 1,      /**< MySQL */
    HOMEWARD_MARIADB = 2,    /**< MariaDB */
    HOMEWARD_MONGODB = 3,    /**< MongoDB */
    HOMEWARD_REDIS = 4       /**< Redis and Valkey */
} homeward_engine;

/** Sizes of rows of other engines; unused columns are NULL. */
enum {
    HOMEWARD_ENGINE_COLUMNS = 5, /**< at most, of any engine's row below */
    HOMEWARD_QUERY_BYTES = 512   /**< a buffer for homeward_engine_wait_query() */
};
/** The query to run after a commit on the same connection. Its row has, as texts:
 *
 * - PostgreSQL, MySQL, MariaDB: the columns of the statement
 * - Redis: the text of the command `INFO replication`
 * - MongoDB: seconds and increment of operationTime in the write's reply; there is no query
 *
 * @param engine of the database
 * @return the query; "" for MongoDB, and for a code that this version does not know */
const char* homeward_engine_committed_query(homeward_engine engine);
/** The query to run on the replica. Its row is as above; MongoDB's is lastWrite.opTime.ts of hello.
 * @param engine of the database
 * @return the query; "" for MongoDB, and for a code that this version does not know */
const char* homeward_engine_replica_query(homeward_engine engine);
/** Signs a token of what a session has committed.
 * @param tokens of homeward_tokens_new()
 * @param engine of the database
 * @param row HOMEWARD_ENGINE_COLUMNS texts: the row of homeward_engine_committed_query()
 * @param token a buffer of HOMEWARD_TOKEN_BYTES
 * @param token_bytes its size
 * @return 1; 0 if it is no such row, its position is too long for a token, or it does not fit */
int homeward_engine_token_sign(const homeward_tokens* tokens, homeward_engine engine,
                               const char* const row[5], char* token, size_t token_bytes);
/** Compares a token with a replica.
 * @param tokens of homeward_tokens_new()
 * @param engine of the database
 * @param token of the session
 * @param row HOMEWARD_ENGINE_COLUMNS texts: the row of homeward_engine_replica_query(); NULL: the
 *     replica did not answer
 * @return HOMEWARD_NOT_ASKED for a token that is forged, cut, too old, of an unknown key, or of
 *     another engine */
homeward_coverage homeward_engine_token_coverage(const homeward_tokens* tokens,
                                                 homeward_engine engine, const char* token,
                                                 const char* const row[5]);
/** What the server of a replica's row is.
 * @param engine of the database
 * @param row as above; may be NULL
 * @return HOMEWARD_ROLE_UNKNOWN for another row, and for MongoDB */
homeward_server_role homeward_engine_role(homeward_engine engine, const char* const row[5]);
/** Makes the statement by which a MariaDB or MySQL replica waits until it has what a token names.
 * Its result says nothing that homeward_engine_replica_query() does not say.
 * @param tokens of homeward_tokens_new()
 * @param token of the session
 * @param wait_max_ms milliseconds
 * @param query a buffer of HOMEWARD_QUERY_BYTES
 * @param query_bytes its size
 * @return 1; 0 for a token of another engine, one that does not count, or a buffer that is too
 *     small */
int homeward_engine_wait_query(const homeward_tokens* tokens, const char* token,
                               uint32_t wait_max_ms, char* query, size_t query_bytes);

#ifdef __cplusplus
}
#endif

#endif
