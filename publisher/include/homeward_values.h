#ifndef HOMEWARD_VALUES_H
#define HOMEWARD_VALUES_H

/** @file
 * Values of event fields for homeward.h, and builders of JSON fields. Include homeward.h. */

#include <stddef.h>
#include <stdint.h>

#include <homeward_enum.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The kind of a value. Without JSON, the type is described once, and values are copied as they
 * are:
 *
 * @code
 * static const homeward_field fields[] = {
 *     {"code", HOMEWARD_TEXT},
 *     {"weight_g", HOMEWARD_INTEGER},
 * };
 * homeward_type* parcel = homeward_define(publisher, "parcel", HOMEWARD_AUDIT, fields, 2);
 * homeward_value values[] = {homeward_text("p1", 2), homeward_integer(250)};
 * homeward_emit(publisher, parcel, values, 2);
 * @endcode */
typedef enum homeward_kind HOMEWARD_ANY_INT {
    HOMEWARD_ABSENT = 0, /**< of a value only: this event has no such field */
    HOMEWARD_INTEGER = 1,
    HOMEWARD_REAL = 2,
    HOMEWARD_BOOLEAN = 3,
    HOMEWARD_TIMESTAMP = 4, /**< microseconds since 1970-01-01 UTC */
    HOMEWARD_TEXT = 5,      /**< also uuid, inet, values of an enum, and decimals such as "12.30" */
    HOMEWARD_JSON = 6       /**< a JSON value as text, for objects and arrays */
} homeward_kind;

/** A field of an event type. */
typedef struct homeward_field {
    const char* name;   /**< a-z 0-9 _, a letter first; at most 63 bytes */
    homeward_kind kind; /**< of its values */
} homeward_field;

/** A value of a field. */
typedef struct homeward_value {
    homeward_kind kind; /**< which member of the union counts */
    union {
        int64_t integer; /**< also HOMEWARD_BOOLEAN (0 or 1) and HOMEWARD_TIMESTAMP */
        double real;     /**< HOMEWARD_REAL */
        struct {
            const char* bytes; /**< UTF-8, or JSON */
            size_t size;       /**< in bytes */
        } text;                /**< also HOMEWARD_JSON */
    } as;                      /**< the value */
} homeward_value;

/** Makes a value of a field that the event does not have.
 * @return the value */
static inline homeward_value homeward_absent(void) {
    homeward_value value = {HOMEWARD_ABSENT, {0}};
    return value;
}
/** Makes an integer.
 * @param integer the number
 * @return the value */
static inline homeward_value homeward_integer(int64_t integer) {
    homeward_value value = {HOMEWARD_INTEGER, {integer}};
    return value;
}
/** Makes a boolean.
 * @param truth 0 is false
 * @return the value */
static inline homeward_value homeward_boolean(int truth) {
    homeward_value value = {HOMEWARD_BOOLEAN, {truth != 0}};
    return value;
}
/** Makes a timestamp.
 * @param us_since_1970 microseconds since 1970-01-01 UTC
 * @return the value */
static inline homeward_value homeward_timestamp(int64_t us_since_1970) {
    homeward_value value = {HOMEWARD_TIMESTAMP, {us_since_1970}};
    return value;
}
/** Makes a number.
 * @param real the number
 * @return the value */
static inline homeward_value homeward_real(double real) {
    homeward_value value = {HOMEWARD_REAL, {0}};
    value.as.real = real;
    return value;
}
/** Makes a text.
 * @param bytes UTF-8; borrowed
 * @param size in bytes
 * @return the value */
static inline homeward_value homeward_text(const char* bytes, size_t size) {
    homeward_value value = {HOMEWARD_TEXT, {0}};
    value.as.text.bytes = bytes;
    value.as.text.size = size;
    return value;
}
/** Makes a JSON value.
 * @param bytes JSON text; borrowed
 * @param size in bytes
 * @return the value */
static inline homeward_value homeward_json(const char* bytes, size_t size) {
    homeward_value value = {HOMEWARD_JSON, {0}};
    value.as.text.bytes = bytes;
    value.as.text.size = size;
    return value;
}

/** An object or an array for a HOMEWARD_JSON field, built value by value. One thread at a time.
 *
 *   homeward_builder *detail = homeward_object();
 *   homeward_add(detail, "ip", homeward_text(ip, strlen(ip)));
 *   homeward_add(detail, "tries", homeward_integer(3));
 *   values[5] = homeward_built(detail);
 *
 */
typedef struct homeward_builder homeward_builder;
/** Begins an object.
 * @return NULL without memory */
homeward_builder* homeward_object(void);
/** Begins an array.
 * @return NULL without memory */
homeward_builder* homeward_array(void);
/** Adds a member or an element.
 * @param builder of homeward_object() or homeward_array()
 * @param key of an object, ended by a zero; NULL for an array
 * @param value HOMEWARD_ABSENT adds null, a timestamp its microseconds, HOMEWARD_JSON another
 * builder's result
 * @return 1; or 0 and nothing is added: a null pointer, a key for an array, or no memory */
int homeward_add(homeward_builder* builder, const char* key, homeward_value value);
/** The JSON built so far, as HOMEWARD_JSON.
 * @param builder of homeward_object() or homeward_array()
 * @return borrowed until the builder changes or is freed */
homeward_value homeward_built(const homeward_builder* builder);
/** Removes all members or elements but keeps the memory.
 * @param builder of homeward_object() or homeward_array() */
void homeward_clear(homeward_builder* builder);
/** Frees a builder.
 * @param builder may be NULL */
void homeward_builder_free(homeward_builder* builder);

#ifdef __cplusplus
}
#endif

#endif
