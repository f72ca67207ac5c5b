#ifndef HOMEWARD_REPLAY_H
#define HOMEWARD_REPLAY_H

/* The replay helper as a C ABI: what to answer to a request that a read replica cannot serve.
 *
 *   cc app.c $(pkg-config --cflags --libs homeward)
 *
 * On top of homeward/replay/decide.hpp, connection_url.hpp and token.hpp, which say more. All of it
 * is pure or reads the environment only: no network, no threads. Any thread may call a function, none
 * keeps a pointer that it was given, and none lets an exception out. Texts end with a zero and are
 * of this library unless they are written into a buffer of the caller's. As homeward.h, it only
 * grows: structs begin with their size, codes are never given another meaning. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a database error means, whatever the engine. */
typedef enum homeward_cause {
    HOMEWARD_CAUSE_NONE = 0,
    HOMEWARD_CAUSE_READ_ONLY = 1,       /* a write, to a server or in a transaction that only reads */
    HOMEWARD_CAUSE_UNSUPPORTED = 2,     /* what a read replica cannot do */
    HOMEWARD_CAUSE_UNKNOWN_NAME = 3,    /* a table, column or function that it does not have */
    HOMEWARD_CAUSE_CONFLICT = 4,        /* cancelled for another, or for the log of a replica */
    HOMEWARD_CAUSE_CONNECTION = 5,      /* lost or refused */
    HOMEWARD_CAUSE_OUTCOME_UNKNOWN = 6, /* a COMMIT of which nobody knows */
    HOMEWARD_CAUSE_OTHER = 7            /* the app's own */
} homeward_cause;
/* PostgreSQL's: "25006". NULL and "" are no error. */
homeward_cause homeward_cause_of_sqlstate(const char *sqlstate);
/* "read_only", as in rules.json. */
const char *homeward_cause_name(homeward_cause cause);

typedef enum homeward_server_role {
    HOMEWARD_ROLE_UNKNOWN = 0,
    HOMEWARD_ROLE_PRIMARY = 1,           /* takes writes */
    HOMEWARD_ROLE_STANDBY = 2,           /* a read replica */
    HOMEWARD_ROLE_READ_ONLY_PRIMARY = 3  /* no standby, but default_transaction_read_only is on */
} homeward_server_role;

/* What a session has seen, against what the local replica has. */
typedef enum homeward_coverage {
    HOMEWARD_NOT_ASKED = 0,
    HOMEWARD_COVERED = 1,
    HOMEWARD_BEHIND = 2,
    HOMEWARD_OTHER_HISTORY = 3,
    HOMEWARD_POSITION_UNKNOWN = 4,
    HOMEWARD_PRIMARY_ONLY = 5
} homeward_coverage;

enum { /* homeward_situation.flags */
    HOMEWARD_HANDLER_HAS_RUN = 1,
    HOMEWARD_WAS_REPLAYED = 2,     /* the request bears fly-replay-src */
    HOMEWARD_REPLAY_HAS_FAILED = 4, /* it bears fly-replay-failed */
    HOMEWARD_IS_WEBSOCKET = 8,
    HOMEWARD_LENGTH_UNKNOWN = 16 /* a body without Content-Length */
};
typedef struct homeward_situation {
    size_t size;        /* sizeof(homeward_situation) */
    const char *method; /* "GET" */
    uint32_t flags;
    homeward_cause cause; /* of the error that the handler met */
    homeward_server_role server_role;
    homeward_coverage coverage;
    uint64_t body_bytes;
} homeward_situation;

enum { /* homeward_policy.flags; decide.hpp has the trade-off of each */
    HOMEWARD_WRITES_BY_METHOD = 1,
    HOMEWARD_UNSUPPORTED_ON_STANDBY = 2,
    HOMEWARD_SCHEMA_LAG = 4,
    HOMEWARD_RECOVERY_CONFLICT = 8,
    HOMEWARD_REPLICA_DOWN = 16,
    HOMEWARD_LARGE_WRITES_HERE = 32,
    HOMEWARD_WEBSOCKETS_HERE = 64,
    HOMEWARD_POLICY_DEFAULT = 2 + 8 + 16
};
typedef struct homeward_policy {
    size_t size; /* sizeof(homeward_policy) */
    uint32_t flags;
    uint32_t retry_after_s; /* 5 */
} homeward_policy;

typedef enum homeward_verdict {
    HOMEWARD_PROCEED = 0, /* answer as the app would */
    HOMEWARD_REPLAY = 1,  /* answer 409 with fly-replay: region=<primary> */
    HOMEWARD_REFUSE = 2   /* answer `status` */
} homeward_verdict;
typedef struct homeward_decision {
    size_t size; /* sizeof(homeward_decision), set by the caller */
    homeward_verdict verdict;
    int status;             /* 0 for HOMEWARD_PROCEED */
    uint32_t retry_after_s; /* 0: no Retry-After */
    const char *reason;     /* "read_only_error": for logs and metric labels */
    const char *text;       /* one sentence for a person */
} homeward_decision;

/* primary, current: PRIMARY_REGION and FLY_REGION; NULL or "": there is only one region. policy:
 * NULL for the default. Asked before the handler runs, and after it met an error. 0 when situation
 * or decision is NULL or too small; the decision then stays as it was. */
int homeward_decide(const char *primary, const char *current, const homeward_situation *situation,
                    const homeward_policy *policy, homeward_decision *decision);
/* The value of fly-replay for a region, into a buffer; 0 when it is no region name, or has no room. */
int homeward_replay_to(const char *region, char *value, size_t value_bytes);

/* DATABASE_URL for where this process runs, by PRIMARY_REGION, FLY_REGION and DATABASE_REPLICA_…
 * (publisher/replay/RULES.md). 0 on an error: `why` then holds one sentence, without anything of the
 * connection string. is_replica and why may be NULL. */
int homeward_database_url(char *url, size_t url_bytes, int *is_replica, char *why,
                          size_t why_bytes);

/* Session tokens: a session reads what it has written. The app runs the SQL on its own connections
 * and hands over the one row, as texts; NULL for SQL's NULL. */
typedef struct homeward_tokens homeward_tokens;
/* keys: HOMEWARD_REPLAY_KEYS, "k2:<hex>,k1:<hex>". NULL, and why, when they are no good. */
homeward_tokens *homeward_tokens_new(const char *keys, char *why, size_t why_bytes);
void homeward_tokens_free(homeward_tokens *tokens);

enum { HOMEWARD_TOKEN_BYTES = 257, HOMEWARD_COMMITTED_COLUMNS = 5, HOMEWARD_REPLICA_COLUMNS = 4 };
/* To run after COMMIT on the same connection, and its row signed: 0 when it is no such row. */
const char *homeward_committed_sql(void);
int homeward_token_sign(const homeward_tokens *tokens, const char *const row[5], char *token,
                        size_t token_bytes);
/* To run on the replica, and a token held against its row. row NULL: the replica did not answer. A
 * token that is forged, cut, too old or of an unknown key is none: HOMEWARD_NOT_ASKED. */
const char *homeward_replica_sql(void);
homeward_coverage homeward_token_coverage(const homeward_tokens *tokens, const char *token,
                                          const char *const row[4]);

#ifdef __cplusplus
}
#endif

#endif
