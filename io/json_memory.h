/* json_memory.h - Jansson where memory is short. Its lexer leaves out a byte when its buffer cannot grow, and reads on:
 * 255 becomes 25, and without the closing quote it reads beyond the buffer. What it builds says so only in results that
 * would have to be looked at forty times in a row.
 *
 * The library gives Jansson an allocator: malloc and free as before, with a note for each thread when there was no
 * memory, which is asked for once, before what was built is used. A parse has memory of its own and is left where that
 * ends. A program that sets other allocators (json_set_alloc_funcs) does without both. */
#ifndef PSAL_IO_JSON_MEMORY_H
#define PSAL_IO_JSON_MEMORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Has memory for JSON been missing in this thread since the last time this was asked? */
bool psal_json_memory_failed(void);

/* Say so where psal's own functions could not make a value. */
void psal_json_memory_fail(void);

/* json_loadb, with JSON_REJECT_DUPLICATES. NULL with *reason, or with *missing when memory was missing; whole
 * otherwise. */
json_t *psal_json_loadb(const char *bytes, size_t size, json_error_t *reason, bool *missing);

#endif
