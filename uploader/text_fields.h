/* text_fields.h - reading back lines of our own: fields between separators, numbers and hex exactly as we write them. */
#ifndef PCAPLINE_UPLOADER_TEXT_FIELDS_H
#define PCAPLINE_UPLOADER_TEXT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* text_field: copies what stands before the next `end` into dst (size bytes, terminated).  Where the text goes on after `end`; NULL: there is
 * none, or the field does not fit. */
const char *text_field(const char *text, char end, char *dst, size_t size);

/* text_u64: the whole text is a decimal number as printf writes it (no sign, no leading zeros). */
bool text_u64(const char *text, uint64_t *ret);

/* text_hex: n bytes as 2n lower-case digits.  Where the text goes on; NULL: other characters. */
const char *text_hex(const char *text, uint8_t *dst, size_t n);

#endif
