/* An app that was compiled against the header of release 0.1.0 (beside this file, as it was), run
 * with today's library: smaller structs, and nothing that 0.1.0 did not have.
 *
 *   program NATS_URL SPOOL_DIR
 */
#include <homeward.h>
#include <stdio.h>
#include <string.h>

enum { EVENTS = 100, CANARY = 0x5a };

/* What lies behind a struct of 0.1.0 must stay as it is. */
struct guarded_stats {
    homeward_stats stats;
    unsigned char behind[256];
};
struct guarded_options {
    homeward_options options;
    unsigned char behind[256]; /* read as options, it would be bad ones */
};

static int lines;
static void count_line(void *context, const char *line, size_t line_bytes) {
    (void)context;
    (void)line;
    if (line_bytes > 0) ++lines;
}

static int is_untouched(const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (bytes[i] != CANARY) return 0;
    }
    return 1;
}

static int fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    if (homeward_abi_version() < HOMEWARD_ABI_VERSION) return fail("the library is too old");
    struct guarded_options given;
    memset(&given, 0, sizeof given.options);
    memset(given.behind, CANARY, sizeof given.behind);
    given.options.size = sizeof given.options;
    given.options.region = "ams";
    given.options.app = "old";
    given.options.nats_urls = argv[1];
    given.options.spool_dir = argv[2];
    given.options.lane_bytes = 128 << 10;
    given.options.on_log = count_line;
    char why[256] = "";
    homeward_publisher *publisher = homeward_open(&given.options, why, sizeof why);
    if (publisher == NULL) return fail(why);

    static const homeward_field fields[] = {{"actor", HOMEWARD_TEXT},
                                            {"action", HOMEWARD_TEXT},
                                            {"resource", HOMEWARD_TEXT},
                                            {"outcome", HOMEWARD_TEXT}};
    homeward_type *audit = homeward_define(publisher, "audit", HOMEWARD_AUDIT, fields, 4);
    if (audit == NULL) return fail("homeward_define");
    const char json[] =
        "{\"actor\":\"old\",\"action\":\"json\",\"resource\":\"r\",\"outcome\":\"allowed\"}";
    for (int i = 0; i < EVENTS; ++i) {
        const homeward_value values[] = {homeward_text("old", 3), homeward_text("typed", 5),
                                         homeward_text("r", 1), homeward_text("allowed", 7)};
        if (homeward_emit(publisher, audit, values, 4) != HOMEWARD_ACCEPTED) return fail("emit");
        if (homeward_emit_json(publisher, HOMEWARD_AUDIT, "audit", 5, json, sizeof json - 1, 0) !=
            HOMEWARD_ACCEPTED) {
            return fail("emit_json");
        }
    }
    homeward_scope *scope = homeward_scope_begin(publisher, 0);
    if (homeward_emit_json(publisher, HOMEWARD_AUDIT, "audit", 5, json, sizeof json - 1, 0) !=
        HOMEWARD_HELD) {
        return fail("scope");
    }
    homeward_scope_drop(scope);
    homeward_scope_end(scope);

    uint64_t left = 1;
    if (!homeward_flush(publisher, 10000, HOMEWARD_STREAM, &left)) return fail("flush");
    struct guarded_stats now;
    memset(&now, CANARY, sizeof now);
    now.stats.size = sizeof now.stats;
    if (!homeward_get_stats(publisher, &now.stats)) return fail("stats");
    if (!is_untouched(now.behind, sizeof now.behind)) return fail("stats were written beyond");
    if (now.stats.audit.acked != 2 * EVENTS || now.stats.audit.refused != 0) return fail("counts");
    if (!now.stats.connected) return fail("connected");
    if (!homeward_close(publisher, 10000, &left) || left != 0) return fail("close");
    homeward_free(publisher);
    if (!is_untouched(given.behind, sizeof given.behind)) return fail("options were written");
    return 0;
}
