/* file_values.h - values that lie in a mapped file, such as the weights of a checkpoint, without holding all of them in memory.
 *
 * Reading a mapping makes the file's pages part of the process, and VGG-19's largest matrix alone has 392 MiB of them, which
 * are read once from one end to the other and not again before the next pass. Copied from the file into a small buffer that is
 * used over and over they take a few hundred KiB, at 0.02 ms a MiB more (two threads of a Zen 5; a mapping whose pages
 * are given back as they are read takes twice as long as the copy). Hence of one tensor so much is read where it is mapped:
 * PSAL_FILE_RESIDENT_BYTES by a pass that runs beside others, each with activations of its own, PSAL_FILE_RESIDENT_ALONE by one that has
 * the process to itself. What follows is read from the file. And while a checkpoint is opened the smaller part may stay.
 *
 * One table for the process, because an operation knows of its operands no more than where they are. All functions may be called
 * by several threads at once. */
#ifndef PSAL_ENGINE_FILE_VALUES_H
#define PSAL_ENGINE_FILE_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#define PSAL_FILE_RESIDENT_BYTES ((size_t)192 << 20)
#define PSAL_FILE_RESIDENT_ALONE ((size_t)264 << 20)

/* From now on the `size` bytes at `data` are known as what the file `fd` holds, mapped and never written to; fd -1: of which nothing
 * is to be read that way. True: the table owns fd. False, when out of memory: the caller does, and the values are read where
 * they are. */
bool psal_file_values_add(const void *data, size_t size, int fd);
/* Before the file is unmapped, and while nobody reads it. Fine for memory that was never added. */
void psal_file_values_remove(const void *data);

/* Copy `size` bytes at `values` from the file in which they lie. False when they lie in none, or it cannot be read (any more): they
 * are then still where they are. */
bool psal_file_values_read(const void *values, size_t size, void *to);
/* The system may take back the pages of these bytes if they lie in a file; they can still be read. */
void psal_file_values_forget(const void *values, size_t size);
/* The same for what was read of a tensor on the way, bytes offset .. offset + size - 1, unless it may stay. */
void psal_file_values_passed(const void *tensor, size_t offset, size_t size);

#endif
