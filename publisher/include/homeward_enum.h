#ifndef HOMEWARD_ENUM_H
#define HOMEWARD_ENUM_H

/** @file
 * What the enumerations of the C ABI have in common. Included by the other headers. */

/* Behind the name of an enumeration: in C++, too, it may have any number, such as that of a newer
 * version. */
#ifdef __cplusplus
#define HOMEWARD_ANY_INT : int
#else
#define HOMEWARD_ANY_INT
#endif

#endif
