/* Metrics from C11: eight threads count and time, and one child after a fork.
 *
 *   meter NATS_URL
 */
#include <homeward_metrics.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, ADDS = 10000 };

static int fail(const char* what) {
    fprintf(stderr, "%s\n", what);
    return 1;
}

struct shop {
    homeward_instrument* requests;
    homeward_instrument* open;
    homeward_instrument* seconds;
};

static void* work(void* context) {
    const struct shop* shop = context;
    for (int i = 0; i < ADDS; ++i) {
        if (!homeward_instrument_add(shop->requests, 2) ||
            !homeward_instrument_add(shop->open, i % 2 == 0 ? 3 : -2) ||
            !homeward_instrument_record(shop->seconds, i % 4)) {
            return context;
        }
    }
    return NULL;
}

static int check_refusals(homeward_meter* meter, homeward_instrument* requests,
                          homeward_instrument* seconds) {
    char why[256] = "";
    homeward_series series = {.size = sizeof series, .name = "2xx"};
    if (homeward_instrument_new(meter, HOMEWARD_COUNTER, &series, why, sizeof why) != NULL ||
        strstr(why, "must begin with a letter") == NULL) {
        return fail(why);
    }
    series.name = "c.requests";
    if (homeward_instrument_new(meter, HOMEWARD_GAUGE, &series, why, sizeof why) != NULL ||
        strstr(why, "needs a name of its own") == NULL) {
        return fail(why);
    }
    const homeward_attribute half = {.key = "k"};
    series.attributes = &half;
    series.attribute_count = 1;
    if (homeward_instrument_new(meter, HOMEWARD_COUNTER, &series, why, sizeof why) != NULL ||
        strstr(why, "has no key or no value") == NULL) {
        return fail(why);
    }
    series.attribute_count = 65;
    if (homeward_instrument_new(meter, HOMEWARD_COUNTER, &series, why, sizeof why) != NULL ||
        strstr(why, "at most 64 are allowed") == NULL) {
        return fail(why);
    }
    series.attributes = NULL;
    series.attribute_count = 1;
    if (homeward_instrument_new(meter, HOMEWARD_COUNTER, &series, NULL, 0) != NULL) {
        return fail("attributes at no address");
    }
    series.attribute_count = 0;
    if (homeward_instrument_new(meter, (homeward_instrument_kind)9, &series, why, sizeof why) ||
        homeward_instrument_new(NULL, HOMEWARD_COUNTER, &series, NULL, 0) ||
        homeward_instrument_new(meter, HOMEWARD_COUNTER, NULL, NULL, 0)) {
        return fail("an instrument of nothing");
    }
    series.size = 8;
    if (homeward_instrument_new(meter, HOMEWARD_COUNTER, &series, NULL, 0) != NULL) {
        return fail("a series of another size");
    }
    if (homeward_instrument_record(requests, 1) || homeward_instrument_add(seconds, 1) ||
        homeward_instrument_add(NULL, 1) || homeward_instrument_record(NULL, 1)) {
        return fail("a call that does not fit the kind");
    }
    homeward_instrument_add(requests, -1);
    homeward_instrument_record(seconds, 1e308 * 10);
    /* As an older header knows it: what lies behind stays. */
    homeward_meter_stats stats;
    memset(&stats, 0x5a, sizeof stats);
    stats.size = offsetof(homeward_meter_stats, closed);
    const uint64_t behind = stats.closed;
    if (!homeward_meter_get_stats(meter, &stats) || stats.series != 4 || stats.negative != 1 ||
        stats.not_finite != 1 || stats.folded_series != 0 || stats.closed != behind) {
        return fail("stats");
    }
    return homeward_meter_get_stats(NULL, &stats) ? fail("stats of nothing") : 0;
}

static homeward_instrument* instrument(homeward_meter* meter, homeward_instrument_kind kind,
                                       const char* name, const char* unit) {
    const homeward_attribute attributes[] = {{"route", "/orders"}, {"method", "GET"}};
    const homeward_series series = {
        .size = sizeof series,
        .name = name,
        .unit = unit,
        .attributes = attributes,
        .attribute_count = 2,
    };
    return homeward_instrument_new(meter, kind, &series, NULL, 0);
}

static int fork_once(homeward_publisher* publisher, homeward_instrument* requests) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        homeward_instrument_add(requests, 7);
        _exit(homeward_close(publisher, 30000, NULL) ? 0 : 1);
    }
    int status = -1;
    return waitpid(child, &status, 0) == child && status == 0;
}

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const homeward_options options = {
        .size = sizeof options, .region = "ams", .app = "c", .nats_urls = argv[1]};
    char why[256] = "";
    homeward_publisher* publisher = homeward_open(&options, why, sizeof why);
    if (publisher == NULL) return fail(why);
    homeward_meter_options meter_options = {.size = sizeof meter_options, .interval_ms = 1};
    if (homeward_meter_new(publisher, &meter_options, why, sizeof why) != NULL ||
        strstr(why, "interval") == NULL || homeward_meter_new(NULL, NULL, NULL, 0) != NULL) {
        return fail("a meter with wrong options");
    }
    meter_options.interval_ms = 3600000;
    homeward_meter* meter = homeward_meter_new(publisher, &meter_options, why, sizeof why);
    if (meter == NULL) return fail(why);

    struct shop shop = {
        instrument(meter, HOMEWARD_COUNTER, "c.requests", NULL),
        instrument(meter, HOMEWARD_UP_DOWN_COUNTER, "c.open", NULL),
        instrument(meter, HOMEWARD_HISTOGRAM, "c.seconds", "s"),
    };
    homeward_instrument* heat = instrument(meter, HOMEWARD_GAUGE, "c.heat", "Cel");
    if (!shop.requests || !shop.open || !shop.seconds || !heat) return fail("instruments");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; ++i) pthread_create(&threads[i], NULL, work, &shop);
    for (int i = 0; i < THREADS; ++i) {
        void* failed = NULL;
        pthread_join(threads[i], &failed);
        if (failed != NULL) return fail("add or record");
    }
    homeward_instrument_record(heat, 21.5);
    homeward_instrument_free(heat); /* the series stays */
    if (check_refusals(meter, shop.requests, shop.seconds) != 0) return 1;
    if (!fork_once(publisher, shop.requests)) return fail("the child");

    homeward_instrument_free(shop.requests);
    homeward_instrument_free(shop.open);
    homeward_instrument_free(shop.seconds);
    homeward_instrument_free(NULL);
    homeward_meter_free(meter);
    homeward_meter_free(NULL);
    uint64_t left = 0;
    if (!homeward_close(publisher, 30000, &left)) return fail("close");
    homeward_free(publisher);
    return 0;
}
