#include "tools/start.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/memory.h"

/* The first file that a program opens would take the place of a closed stream, and get what is meant for it. What is
 * opened here instead cannot be used in the stream's direction: that fails with EBADF, as if it were closed still. */
void psal_open_standard_streams(void) {
    for (int stream = 0; stream <= 2; stream++) {
        if (fcntl(stream, F_GETFD) != -1 || errno != EBADF) continue;
        int fd = open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
        if (fd < 0) fd = open("/", O_RDONLY | O_DIRECTORY);
        if (fd >= 0 && fd != stream) close(fd); /* it took a lower number: there was none free at `stream` */
    }
}

/* ---- before the libraries start ---- */

/* While it is loaded, OpenBLAS maps a buffer for each processor, and when it gets none it tries for ever. What stands
 * in .preinit_array runs before that: it maps as many as will be needed, one for each processor then and one for each
 * thread later, and gives them back. When there is no room for all, the process is kept to as many processors as there
 * is room for, and ends when there is none. Not under sanitizers, which are not ready yet. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined(__linux__) && !defined(SANITIZED)
enum { MOST_BUFFERS = 2048 };

static void make_room(void) {
    static void *buffers[MOST_BUFFERS];
    cpu_set_t processors;
    if (sched_getaffinity(0, sizeof processors, &processors) != 0) return;
    const int count = CPU_COUNT(&processors), wanted = 2 * count + 1; /* and something for the program itself */
    int got = 0;
    while (got < wanted && got < MOST_BUFFERS) {
        buffers[got] = mmap(NULL, PSAL_BLAS_BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (buffers[got] == MAP_FAILED) break;
        got++;
    }
    for (int i = 0; i < got; i++) munmap(buffers[i], PSAL_BLAS_BUFFER);
    if (got >= wanted || got == MOST_BUFFERS) return;
    int fit = got > 3 ? (got - 1) / 2 : got / 2;
    if (fit < 1) {
        static const char line[] = "psal: the address space (ulimit -v) or the memory that may be reserved is too "
                                   "small to start: allow 512 MiB at least\n";
        (void)!write(STDERR_FILENO, line, sizeof line - 1);
        _exit(1);
    }
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &processors) && fit-- <= 0) CPU_CLR(i, &processors);
    sched_setaffinity(0, sizeof processors, &processors);
}

__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) = make_room;
#endif
