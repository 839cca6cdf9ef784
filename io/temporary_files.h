/* temporary_files.h - the names of files that are not to outlive the process, for the case that it ends before they are
 * renamed or removed.
 *
 * One table for the process, as a signal handler cannot be told anything else. All functions may be called by several
 * threads at once. */
#ifndef PSAL_IO_TEMPORARY_FILES_H
#define PSAL_IO_TEMPORARY_FILES_H

/* Note the name of a file that is about to be made. Returns its entry, or -1 when there is no room or memory, which is
 * no reason not to make the file. */
int psal_temporary_file_add(const char *name);
/* The file has been renamed or removed; -1 is fine. */
void psal_temporary_file_forget(int entry);

/* Remove all files in the table. Only functions that a signal handler may call are used: a program calls this in the
 * handler of a signal that ends it. The library installs no handlers. */
void psal_temporary_files_remove(void);

#endif
