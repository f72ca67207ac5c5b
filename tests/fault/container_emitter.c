/* An app in C under test, as emitter.cpp is one in C++: one thread, the same journal.
 *
 *   container_emitter NATS_URL SPOOL_DIR JOURNAL_DIR RUN EVENTS_PER_SECOND
 */
#include <fcntl.h>
#include <homeward.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* As tests/support/journal.cpp has it. */
struct entry {
    uint64_t payload_hash;
    uint8_t fate; /* 0 unknown, 1 accepted, 2 refused */
    uint8_t unused[7];
};

static uint64_t hash_of(const char* text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text != '\0'; ++text) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

static void write_entry(int file, uint64_t number, const struct entry* entry) {
    const off_t at = (off_t)(number * sizeof *entry);
    if (pwrite(file, entry, sizeof *entry, at) != (ssize_t)sizeof *entry) exit(3);
}

static void emit(homeward_publisher* publisher, int file, const char* name, uint64_t number) {
    char actor[48];
    char json[256];
    snprintf(actor, sizeof actor, "c:%s:%" PRIu64, name, number * 2654435761u);
    snprintf(json, sizeof json,
             "{\"actor\":\"%s\",\"action\":\"test.emit\",\"resource\":\"%s:%" PRIu64
             "\",\"outcome\":\"allowed\"}",
             actor, name, number);
    struct entry entry = {.payload_hash = hash_of(actor)};
    write_entry(file, number, &entry);
    const homeward_result result =
        homeward_emit_json(publisher, HOMEWARD_AUDIT, "audit", 5, json, strlen(json), 0);
    entry.fate = result == HOMEWARD_ACCEPTED ? 1 : 2;
    write_entry(file, number, &entry);
}

int main(int argc, char** argv) {
    if (argc != 6) return 2;
    const homeward_options options = {.size = sizeof options,
                                      .region = "ams",
                                      .app = "shop",
                                      .nats_urls = argv[1],
                                      .spool_dir = argv[2]};
    char why[256];
    homeward_publisher* publisher = homeward_open(&options, why, sizeof why);
    if (publisher == NULL) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    char name[32];
    char path[4096];
    snprintf(name, sizeof name, "%s-0", argv[4]);
    snprintf(path, sizeof path, "%s/%s", argv[3], name);
    const int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0) return 3;
    const long per_second = atol(argv[5]);
    const struct timespec pause = {.tv_nsec = 1000000000L / per_second * 8};
    for (uint64_t number = 0;; ++number) {
        emit(publisher, file, name, number);
        if (number % 8 == 7) nanosleep(&pause, NULL);
    }
}
