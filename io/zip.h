/* zip.h - reading zip archives that hold arrays: the .pth and .npz containers. Internal to io/.
 *
 * Why not a general library: arrays are stored without compression, and psal wants to use them
 * where they lie in the mapped file; general libraries hand out copies. The format is PKWARE's
 * APPNOTE 6.3.9 (sections 4.3.7 local header, 4.3.12 central directory, 4.3.14 to 4.3.16 its
 * end, 4.5.3 zip64).
 *
 * Everything is checked before it is used: each entry lies inside the file, in front of the central
 * directory, shares no byte with another, and has the name the directory gives it; deflated entries
 * together unpack to at most 64 times the file plus 64 MiB (weights hardly compress at all). */
#ifndef PSAL_IO_ZIP_H
#define PSAL_IO_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

typedef struct psal_zip psal_zip;

/* Map `path` and read its directory. NULL with an *err that names the file. */
psal_zip *psal_zip_open(const char *path, psal_error *err);
void psal_zip_close(psal_zip *zip); /* unmaps and frees all that psal_zip_data handed out; NULL is fine */

size_t psal_zip_count(const psal_zip *zip);
size_t psal_zip_file_size(const psal_zip *zip);
const char *psal_zip_name(const psal_zip *zip, size_t index); /* in the order of the directory */

/* The entry of that name, or -1. O(log n). */
ptrdiff_t psal_zip_find(const psal_zip *zip, const char *name);

/* The entry's bytes, checked against their CRC at the first call: inside the mapping when stored,
 * unpacked into memory of `zip` when deflated. Valid until psal_zip_close. Messages name the entry,
 * not the file. */
psal_status psal_zip_data(psal_zip *zip, size_t index, const uint8_t **data, size_t *size, psal_error *err);

#endif
