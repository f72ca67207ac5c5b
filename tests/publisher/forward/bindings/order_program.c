/* Forwarded calls from C. forward_bindings_test drives it; order_server.rb and order_client.rb take
 * the same words.
 *
 *   order_program serve NATS_URL DATABASE_URL push|pull
 *   order_program call NATS_URL OPERATION KEY BODY DEADLINE_MS
 *   order_program outcome|abandon NATS_URL KEY
 *   order_program fork NATS_URL
 */

#define _POSIX_C_SOURCE 200809L

#include <homeward_forward_server.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 4 };

static volatile sig_atomic_t stopping;

static void stop(int number) {
    (void)number;
    stopping = 1;
}

static int is(const homeward_call* call, const char* body) {
    return call->body_bytes == strlen(body) && memcmp(call->body, body, call->body_bytes) == 0;
}

/* Whether the statement ran; its rows are of no interest. */
static int run(homeward_tx* tx, const char* sql) {
    homeward_rows* rows = homeward_tx_query(tx, sql, NULL, 0);
    homeward_rows_free(rows);
    return rows != NULL;
}

static int insert_order(homeward_tx* tx, const homeward_call* call) {
    char item[64] = "";
    size_t bytes = call->body_bytes < sizeof item - 1 ? call->body_bytes : sizeof item - 1;
    memcpy(item, call->body, bytes);
    const char* values[] = {call->key, item};
    homeward_rows* rows = homeward_tx_query(tx, "INSERT INTO orders VALUES ($1, $2)", values, 2);
    int is_inserted = homeward_rows_affected(rows) == 1;
    homeward_rows_free(rows);
    return is_inserted;
}

/* What SQL returns, through the ABI and back. */
static void reply_values(homeward_tx* tx) {
    const char* values[] = {"it's ü", NULL};
    homeward_rows* rows = homeward_tx_query(
        tx, "SELECT $1::text AS a, $2::text AS b, 7 AS c UNION ALL SELECT 'x','y',8", values, 2);
    char text[256] = "";
    for (size_t row = 0; row < homeward_rows_count(rows); ++row) {
        for (size_t column = 0; column < homeward_rows_columns(rows); ++column) {
            const char* value = homeward_rows_value(rows, row, column);
            strcat(text, homeward_rows_name(rows, column));
            strcat(strcat(text, "="), value == NULL ? "NULL" : value);
            strcat(text, ";");
        }
    }
    if (homeward_rows_value(rows, 2, 0) != NULL || homeward_rows_name(rows, 3) != NULL) abort();
    homeward_rows_free(rows);
    homeward_tx_reply(tx, text, strlen(text));
}

static void reply_placed(homeward_tx* tx, const homeward_call* call) {
    char text[128];
    int bytes = snprintf(text, sizeof text, "placed %.*s for %s.%s by %s", (int)call->body_bytes,
                         call->body, call->region, call->app, call->operation);
    homeward_tx_reply(tx, text, (size_t)bytes);
}

/* Fails at its first run as a deadlock would. */
static int run_into_conflict(homeward_tx* tx) {
    static atomic_int runs;
    return atomic_fetch_add(&runs, 1) > 0 ||
           run(tx, "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40P01'; END $$");
}

static void place(void* context, homeward_tx* tx, const homeward_call* call) {
    (void)context;
    if (is(call, "values")) {
        reply_values(tx);
    } else if (!insert_order(tx, call)) {
        homeward_tx_fail(tx, NULL, NULL);
    } else if (is(call, "own")) {
        homeward_tx_fail(tx, "out_of_stock", "no tea");
    } else if (is(call, "sql") && !run(tx, "SELECT 1/0")) {
        if (strcmp(homeward_tx_sqlstate(tx), "22012") != 0) abort();
        if (strstr(homeward_tx_error(tx), "division by zero") == NULL) abort();
        homeward_tx_fail(tx, NULL, NULL);
    } else if (is(call, "conflict") && !run_into_conflict(tx)) {
        homeward_tx_fail(tx, NULL, NULL);
    } else if (is(call, "nothing")) {
        homeward_tx_fail(tx, NULL, NULL);
    } else {
        if (is(call, "hang")) run(tx, "SELECT pg_sleep(30)");
        if (is(call, "on")) run(tx, "SELECT 1/0");
        if (is(call, "commit")) run(tx, "COMMIT");
        reply_placed(tx, call);
    }
}

static void* take_calls(void* server) {
    homeward_tx* tx;
    homeward_next next;
    while ((next = homeward_forward_server_next(server, 200, &tx)) != HOMEWARD_NEXT_CLOSED) {
        if (next == HOMEWARD_NEXT_CALL) place(NULL, tx, homeward_tx_call(tx));
    }
    return NULL;
}

static homeward_options connection_to(const char* nats, const char* region) {
    homeward_options options = {.size = sizeof options, .region = region, .app = "shop"};
    options.nats_urls = nats;
    return options;
}

static int serve(const char* nats, const char* database, int is_pulled) {
    signal(SIGTERM, stop);
    char why[256] = "";
    homeward_options connection = connection_to(nats, "scl");
    homeward_forward_server_options options = {.size = sizeof options, .connection = &connection};
    options.database_url = database;
    options.workers = WORKERS;
    options.token_keys = getenv("TOKEN_KEYS");
    homeward_forward_server* server = homeward_forward_server_new(&options, why, sizeof why);
    if (server == NULL) {
        fprintf(stderr, "new: %s\n", why);
        return 1;
    }
    homeward_forward_server_on(server, "order.place", is_pulled ? NULL : place, NULL);
    if (homeward_forward_server_start(server, why, sizeof why) != 1) {
        fprintf(stderr, "start: %s\n", why);
        return 1;
    }
    pthread_t threads[WORKERS];
    for (int i = 0; is_pulled && i < WORKERS; ++i) {
        pthread_create(&threads[i], NULL, take_calls, server);
    }
    const struct timespec pause = {.tv_nsec = 20000000};
    while (!stopping) nanosleep(&pause, NULL);
    int is_whole = homeward_forward_server_close(server, 20000);
    for (int i = 0; is_pulled && i < WORKERS; ++i) pthread_join(threads[i], NULL);
    homeward_forward_server_stats stats = {.size = sizeof stats};
    if (homeward_forward_server_get_stats(server, &stats) != 1) return 1;
    printf("ok %d failed %d\n", (int)stats.answered[HOMEWARD_OUTCOME_OK],
           (int)stats.answered[HOMEWARD_OUTCOME_FAILED]);
    homeward_forward_server_free(server);
    return is_whole ? 0 : 1;
}

/* A replica that has everything; a real one is order_client.rb's. */
static homeward_replica_state wait_for_replica(void* context, const char* token,
                                               uint32_t wait_max_ms) {
    return strcmp(context, "replica") == 0 && strncmp(token, "v", 1) == 0 && wait_max_ms == 100
               ? HOMEWARD_REPLICA_COVERED
               : HOMEWARD_REPLICA_AWAY;
}

static homeward_client* open_client(const char* nats) {
    char why[256] = "";
    homeward_options connection = connection_to(nats, "ams");
    homeward_client_options options = {.size = sizeof options, .connection = &connection};
    options.deadline_ms = 10000;
    options.replica_wait = wait_for_replica;
    options.replica_context = (void*)"replica";
    homeward_client* client = homeward_client_open(&options, why, sizeof why);
    if (client == NULL) fprintf(stderr, "open: %s\n", why);
    return client;
}

static int show(const char* who, homeward_reply* reply) {
    if (reply == NULL) return 1;
    printf("%s%s code=%s stored=%d token=%d replica=%d: %s\n", who,
           homeward_outcome_name(reply->outcome), reply->code, (int)reply->was_stored,
           reply->session_token[0] != '\0', (int)reply->replica, reply->body);
    fflush(stdout);
    homeward_reply_free(reply);
    return 0;
}

static homeward_reply* place_order(homeward_client* client, const char* key) {
    homeward_call_options call = {.size = sizeof call, .key = key, .deadline_ms = 10000};
    return homeward_client_call(client, "order.place", "tea", 3, &call);
}

/* A child cannot use its parent's client, and makes one of its own. */
static int is_forked;

/* Asked by LeakSanitizer, which cannot stop the threads of a forked child. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
    return is_forked;
}

static int fork_after_open(const char* nats) {
    homeward_client* client = open_client(nats);
    if (show("parent ", place_order(client, "fork-1")) != 0) return 1;
    pid_t child = fork();
    if (child == 0) {
        is_forked = 1;
        show("child ", place_order(client, "fork-2"));
        homeward_client_free(client);
        homeward_client* own = open_client(nats);
        show("child of its own ", place_order(own, "fork-3"));
        homeward_client_free(own);
        exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    show("parent ", place_order(client, "fork-4"));
    homeward_client_free(client);
    return status;
}

int main(int argc, char** argv) {
    if (argc == 5 && strcmp(argv[1], "serve") == 0) {
        return serve(argv[2], argv[3], strcmp(argv[4], "pull") == 0);
    }
    if (argc == 3 && strcmp(argv[1], "fork") == 0) return fork_after_open(argv[2]);
    if (argc < 4) return 2;
    homeward_client* client = open_client(argv[2]);
    if (client == NULL) return 1;
    homeward_reply* reply = NULL;
    if (strcmp(argv[1], "outcome") == 0) reply = homeward_client_outcome(client, argv[3], 0);
    if (strcmp(argv[1], "abandon") == 0) reply = homeward_client_abandon(client, argv[3], 0);
    if (argc == 7 && strcmp(argv[1], "call") == 0) {
        homeward_call_options call = {.size = sizeof call, .key = argv[4]};
        call.deadline_ms = (uint32_t)atoi(argv[6]);
        reply = homeward_client_call(client, argv[3], argv[5], strlen(argv[5]), &call);
    }
    int status = show("", reply);
    homeward_client_free(client);
    return status;
}
