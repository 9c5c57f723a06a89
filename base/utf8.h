#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-8 as RFC 3629 has it: no overlong form, no surrogate, nothing above U+10FFFF. */

/* The bytes (1 to 4) of the character at `text`, of which `n` may be read; 0 when there is no whole valid one. */
size_t utf8_span(const char *text, size_t n);
bool utf8_valid(const char *text, size_t n);
/* Writes the 1 to 4 bytes of a code point that is neither a surrogate nor above U+10FFFF; returns their number. */
size_t utf8_put(char out[4], uint32_t code);
/* Makes foreign text, in place, one line that is valid: a control character becomes a blank (none may forge a second
 * line), a byte that is not UTF-8 a '?', so also half a character where the text was cut. */
void utf8_one_line(char *text);
