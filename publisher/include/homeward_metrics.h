#ifndef HOMEWARD_METRICS_H
#define HOMEWARD_METRICS_H

/** @file
 * Metrics that are added up in this process, for C and for whatever can call C. Every interval one
 * metric_point per changed series goes to the leader.
 *
 *   homeward_meter *meter = homeward_meter_new(publisher, NULL, why, sizeof why);
 *   homeward_attribute route = {"route", "/orders"};
 *   homeward_series series = {.size = sizeof series, .name = "http.server.requests",
 *                             .attributes = &route, .attribute_count = 1};
 *   homeward_instrument *requests =
 *       homeward_instrument_new(meter, HOMEWARD_COUNTER, &series, why, sizeof why);
 *   homeward_instrument_add(requests, 1);
 *
 * What each kind reports, what is refused and what survives stands in homeward/metrics.hpp. Resolve
 * a series once and keep the instrument. As in homeward.h: texts end with a zero, structs begin
 * with their size as the caller knows them, and any thread may call a function unless it says
 * otherwise.
 *
 * After fork() meters and instruments work in the child, too, where they start at zero. */

#include <stddef.h>
#include <stdint.h>

#include <homeward.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A meter's handle. */
typedef struct homeward_meter homeward_meter;
/** The handle of one series. */
typedef struct homeward_instrument homeward_instrument;

/** Zero means the default. */
typedef struct homeward_meter_options {
    size_t size;          /**< sizeof(homeward_meter_options) */
    uint32_t interval_ms; /**< 10,000: how often changed series are reported; at least 10 */
    /** 2,000, at most 1,000,000. Beyond it a name's further series are folded into one with the
     * attribute otel.metric.overflow, and an instrument of a new name measures nothing. */
    size_t series_max;
} homeward_meter_options;

/** Makes a meter.
 * @param publisher of homeward_open(); it must outlive the meter
 * @param options settings, or NULL for the defaults
 * @param why a buffer for one sentence, or NULL, filled on an error
 * @param why_bytes its size; the sentence is cut to it
 * @return NULL if an option is out of range, the publisher is closed, or without memory */
homeward_meter* homeward_meter_new(homeward_publisher* publisher,
                                   const homeward_meter_options* options, char* why,
                                   size_t why_bytes);
/** Ends a meter. What it has not reported is reported later, at the latest by homeward_close().
 * Its instruments must no longer be used, and no other thread may use it. Call it before
 * homeward_free().
 * @param meter may be NULL */
void homeward_meter_free(homeward_meter* meter);

/** What a series measures. */
typedef enum homeward_instrument_kind HOMEWARD_ANY_INT {
    HOMEWARD_COUNTER = 1,         /**< a sum that only grows: homeward_instrument_add() */
    HOMEWARD_UP_DOWN_COUNTER = 2, /**< a sum that may shrink: homeward_instrument_add() */
    HOMEWARD_GAUGE = 3,           /**< the last value: homeward_instrument_record() */
    HOMEWARD_HISTOGRAM = 4        /**< a distribution: homeward_instrument_record() */
} homeward_instrument_kind;

/** What tells series of one name apart. */
typedef struct homeward_attribute {
    const char* key;   /**< 1 to 255 bytes */
    const char* value; /**< at most 1,024 bytes; what is not UTF-8 becomes U+FFFD */
} homeward_attribute;

/** A series. A name has one kind and one unit, and is compared without case. */
typedef struct homeward_series {
    size_t size;      /**< sizeof(homeward_series) */
    const char* name; /**< a letter, then at most 254 letters, digits, '_', '.', '-' and '/' */
    const char* unit; /**< in UCUM notation, at most 63 bytes: "s", "By"; NULL: none */
    const homeward_attribute* attributes; /**< NULL: none. Their order does not matter */
    size_t attribute_count;               /**< at most 64, each key once */
} homeward_series;

/** Finds or makes a series. It takes a lock.
 * @param meter of homeward_meter_new()
 * @param kind its kind
 * @param series its name, unit and attributes; read before the call returns
 * @param why a buffer for one sentence, or NULL, filled on an error
 * @param why_bytes its size; the sentence is cut to it
 * @return free it with homeward_instrument_free(); the series lives as long as the meter. NULL if a
 *     name, unit or attribute is not allowed, the name has another kind or unit, or without memory
 */
homeward_instrument* homeward_instrument_new(homeward_meter* meter, homeward_instrument_kind kind,
                                             const homeward_series* series, char* why,
                                             size_t why_bytes);
/** Frees the handle, not the series. No other thread may use it.
 * @param instrument may be NULL */
void homeward_instrument_free(homeward_instrument* instrument);

/** Adds to a counter. After a thread's first call for a series: no lock, no allocation and no
 * system call.
 * @param instrument HOMEWARD_COUNTER or HOMEWARD_UP_DOWN_COUNTER
 * @param value of a HOMEWARD_COUNTER not below zero, or it is refused
 *     (homeward_meter_stats.negative)
 * @return 1; 0 and nothing is added if the handle is NULL or of another kind */
int homeward_instrument_add(homeward_instrument* instrument, int64_t value);
/** Sets a gauge, or counts a value in a histogram; costs what homeward_instrument_add() does.
 * @param instrument HOMEWARD_GAUGE or HOMEWARD_HISTOGRAM
 * @param value finite, or it is refused (homeward_meter_stats.not_finite)
 * @return 1; 0 and nothing is recorded if the handle is NULL or of another kind */
int homeward_instrument_record(homeward_instrument* instrument, double value);

/** What a meter has and has refused. */
typedef struct homeward_meter_stats {
    size_t size;            /**< sizeof(homeward_meter_stats), set by the caller */
    uint64_t series;        /**< overflow series not included */
    uint64_t folded_series; /**< into overflow series; counted up to 65,536 */
    uint64_t negative;      /**< values below zero that a counter was given */
    uint64_t not_finite;    /**< NaN, infinity, or a histogram's sum would be beyond double */
    uint64_t closed;        /**< calls after homeward_close() */
} homeward_meter_stats;
/** Reads the counts.
 * @param meter of homeward_meter_new()
 * @param stats its size is set; fields beyond it stay as they are
 * @return 1; 0 if a pointer is NULL */
int homeward_meter_get_stats(const homeward_meter* meter, homeward_meter_stats* stats);

#ifdef __cplusplus
}
#endif

#endif
