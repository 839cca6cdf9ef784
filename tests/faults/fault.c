/* Loaded in front of a program (LD_PRELOAD), it makes one call fail: an allocation, or a system call wherever in the
 * process it is made, inside libc's own streams too. test_faults.py drives it. Nothing of psal is in here.
 *
 *   PSAL_FAULT=CLASS:N:HOW   the Nth (from 1) call of a class fails; "N+": that one and all after it.
 *                            alloc:N:ENOMEM, write:N:ENOSPC, read:N:short; the classes are in `classes` below
 *   PSAL_FAULT=CLASS:N:kill  instead of that call, the process dies as by kill -9
 *   PSAL_FAULT=site:HASH:ENOMEM   the first allocation with that call stack, as PSAL_FAULT_COUNT names it
 *   PSAL_FAULT_LOG=FILE      "fault CLASS N HOW", "died SIGNAL", each with the call stack: "at MODULE+OFFSET ..."
 *   PSAL_FAULT_COUNT=FILE    at the end: "class NAME COUNT", "site HASH CLASS COUNT MODULE+OFFSET ..." for each call
 *                            stack, and "calls CLASS HASH ..." for each class but alloc: where its calls came from, one
 *                            after the other
 *   PSAL_FAULT_FROM=start    also what happens before main; otherwise only what main does
 *
 * System calls are trapped by a seccomp filter, which needs no privileges: SIGSYS's handler makes the call or the
 * error. The filter lets through what the handler calls itself, by its address. EINTR, EIO... of `close` come after it
 * has closed. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

enum {
    MOST_FRAMES = 48,
    INNERMOST = 4,
    OWN = 4,
    MOST_SITES = 1 << 14,
    MOST_MODULES = 256,
    MOST_PATH = 4096,
    MOST_CALLS = 1 << 14
};

/* ---- system calls that are not trapped ---- */

long psal_fault_call(long number, long a, long b, long c, long d, long e, long f);
extern const char psal_fault_called[];
#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
__asm__(
    ".text\n.globl psal_fault_call\n.hidden psal_fault_call\n.type psal_fault_call,@function\npsal_fault_call:\n"
    "mov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\nmov %rcx,%rdx\nmov %r8,%r10\nmov %r9,%r8\nmov 8(%rsp),%r9\nsyscall\n"
    ".globl psal_fault_called\n.hidden psal_fault_called\npsal_fault_called:\nret\n");
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
__asm__(".text\n.globl psal_fault_call\n.hidden psal_fault_call\n.type psal_fault_call,%function\npsal_fault_call:\n"
        "mov x8,x0\nmov x0,x1\nmov x1,x2\nmov x2,x3\nmov x3,x4\nmov x4,x5\nmov x5,x6\nsvc #0\n"
        ".globl psal_fault_called\n.hidden psal_fault_called\npsal_fault_called:\nret\n");
#else
#error "fault.c knows the system calls of x86-64 and arm64 only"
#endif

static void put(int file, const char *text) {
    for (size_t size = strlen(text); size > 0;) {
        long n = psal_fault_call(SYS_write, file, (long)text, (long)size, 0, 0, 0);
        if (n <= 0) return;
        text += n;
        size -= (size_t)n;
    }
}

static int open_report(const char *path) {
    return (int)psal_fault_call(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666, 0,
                                0);
}

/* ---- what is counted, and what fails ---- */

static const char *const classes[] = {"alloc",  "thread",   "open", "read",  "write", "rename", "sync", "mmap",
                                      "unlink", "truncate", "stat", "mkdir", "list",  "close",  "lock", "seek"};
enum class {
    ALLOC,
    THREAD,
    OPEN,
    READ,
    WRITE,
    RENAME,
    SYNC,
    MMAP,
    UNLINK,
    TRUNCATE,
    STAT,
    MKDIR,
    LIST,
    CLOSE,
    LOCK,
    SEEK,
    CLASSES
};

static const struct trapped {
    long number;
    enum class class;
} trapped[] = {
#ifdef SYS_open
    {SYS_open, OPEN},       {SYS_creat, OPEN},         {SYS_rename, RENAME},      {SYS_unlink, UNLINK},
    {SYS_stat, STAT},       {SYS_lstat, STAT},         {SYS_access, STAT},        {SYS_readlink, STAT},
    {SYS_mkdir, MKDIR},     {SYS_rmdir, UNLINK},
#endif
#ifdef SYS_renameat
    {SYS_renameat, RENAME},
#endif
    {SYS_openat, OPEN},     {SYS_read, READ},          {SYS_pread64, READ},       {SYS_readv, READ},
    {SYS_write, WRITE},     {SYS_pwrite64, WRITE},     {SYS_writev, WRITE},       {SYS_renameat2, RENAME},
    {SYS_linkat, RENAME},   {SYS_fsync, SYNC},         {SYS_fdatasync, SYNC},     {SYS_mmap, MMAP},
    {SYS_unlinkat, UNLINK}, {SYS_ftruncate, TRUNCATE}, {SYS_fallocate, TRUNCATE}, {SYS_fstat, STAT},
    {SYS_newfstatat, STAT}, {SYS_statx, STAT},         {SYS_faccessat, STAT},     {SYS_faccessat2, STAT},
    {SYS_readlinkat, STAT}, {SYS_mkdirat, MKDIR},      {SYS_getdents64, LIST},    {SYS_close, CLOSE},
    {SYS_flock, LOCK},      {SYS_fcntl, LOCK},         {SYS_lseek, SEEK}};
enum { TRAPPED = sizeof trapped / sizeof trapped[0] };

static const struct {
    const char *name;
    int number;
} errors[] = {{"ENOMEM", ENOMEM}, {"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EINTR", EINTR}, {"EMFILE", EMFILE},
              {"EACCES", EACCES}, {"EAGAIN", EAGAIN}, {"ENOLCK", ENOLCK}, {"short", 0},     {"kill", -1}};

static _Atomic uint64_t counts[CLASSES];
static atomic_bool active; /* main has begun */
static bool enabled;       /* one of the variables was given */
static bool fails, from_start, onwards, by_site, is_short;
static enum class failing;
static uint64_t failing_number, failing_site;
static int failing_error;
static const char *failing_how = "";
static atomic_flag fired = ATOMIC_FLAG_INIT;
static char log_path[MOST_PATH], count_path[MOST_PATH];

static _Thread_local bool inside __attribute__((tls_model("initial-exec"))); /* this file's own calls are not counted */

/* ---- call stacks that are the same in every run ---- */

static struct module {
    uintptr_t begin, end, base;
    char name[64];
    uint64_t hash;
    bool own, hidden;
} modules[MOST_MODULES];
static int module_count;

static struct site {
    uint64_t hash, count;
    int class, frames;
    uint32_t offsets[MOST_FRAMES];
    int16_t modules[MOST_FRAMES];
} sites[MOST_SITES];
static int site_count;
static uint64_t calls[CLASSES][MOST_CALLS]; /* the site of each */
static atomic_flag sites_busy = ATOMIC_FLAG_INIT;

static uint64_t mix(uint64_t hash, uint64_t value) {
    return (hash ^ value) * 0x9e3779b97f4a7c15u ^ (hash >> 29);
}

static int add_module(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size;
    (void)data;
    uintptr_t begin = UINTPTR_MAX, end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, to = from + info->dlpi_phdr[i].p_memsz;
            begin = from < begin ? from : begin;
            end = to > end ? to : end;
        }
    for (int i = 0; i < module_count; i++)
        if (modules[i].begin == begin) return 0;
    if (module_count == MOST_MODULES) return 0;
    struct module *m = &modules[module_count];
    const char *path = info->dlpi_name ? info->dlpi_name : "", *slash = strrchr(path, '/');
    *m = (struct module){.begin = begin, .end = end, .base = info->dlpi_addr};
    snprintf(m->name, sizeof m->name, "%s", *path ? slash ? slash + 1 : path : "program");
    for (const char *c = m->name; *c; c++) m->hash = mix(m->hash, (unsigned char)*c);
    m->own = !*path || strncmp(m->name, "libpsal", 7) == 0;
    uintptr_t here = (uintptr_t)&psal_fault_call;
    m->hidden = here >= begin && here < end;
    module_count++;
    return 0;
}

static int module_of(uintptr_t address) {
    for (int attempt = 0; attempt < 2; attempt++) {
        for (int i = 0; i < module_count; i++)
            if (address >= modules[i].begin && address < modules[i].end) return i;
        dl_iterate_phdr(add_module, NULL); /* loaded since */
    }
    return -1;
}

struct walk {
    int frames, skipped;
    uintptr_t at[MOST_FRAMES];
};

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *data) {
    struct walk *w = data;
    uintptr_t at = _Unwind_GetIP(context);
    if (!at || w->frames == MOST_FRAMES) return _URC_END_OF_STACK;
    w->at[w->frames++] = at;
    return _URC_NO_REASON;
}

/* The call stack as modules and offsets. Its hash is of the innermost frames and of the first that are psal's own: how
 * fontconfig came from one of its functions to another is no new place, nor is the same layer in another block of a
 * network. A team's task is one place in each of its threads. The caller holds sites_busy. */
static void look(struct site *s, int class) {
    struct walk w = {.frames = 0};
    _Unwind_Backtrace(step, &w);
    *s = (struct site){.hash = mix(1, (uint64_t) class), .class = class};
    bool in_team = false;
    int own = 0;
    for (int i = 0; i < w.frames; i++) {
        int m = module_of(w.at[i]);
        if (m >= 0 && modules[m].hidden) continue;
        s->modules[s->frames] = (int16_t)m;
        s->offsets[s->frames] = m >= 0 ? (uint32_t)(w.at[i] - modules[m].base) : 0;
        in_team = in_team || (m >= 0 && s->frames > 0 && strncmp(modules[m].name, "libgomp", 7) == 0);
        own += m >= 0 && modules[m].own;
        if (m >= 0 && !in_team && (s->frames < INNERMOST || (modules[m].own && own <= OWN)))
            s->hash = mix(mix(s->hash, modules[m].hash), s->offsets[s->frames]);
        s->frames++;
    }
}

static void put_stack(int file, const struct site *s) {
    char text[96];
    for (int i = 0; i < s->frames; i++) {
        snprintf(text, sizeof text, " %s+0x%x", s->modules[i] < 0 ? "?" : modules[s->modules[i]].name,
                 (unsigned)s->offsets[i]);
        put(file, text);
    }
    put(file, "\n");
}

static void lock_sites(void) {
    while (atomic_flag_test_and_set(&sites_busy)) psal_fault_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

/* A line and the call stack, into PSAL_FAULT_LOG. */
static void report(const char *line) {
    int file = *log_path ? open_report(log_path) : -1;
    if (file < 0) return;
    static struct site s;
    lock_sites();
    look(&s, ALLOC);
    atomic_flag_clear(&sites_busy);
    put(file, line);
    put(file, "at");
    put_stack(file, &s);
    psal_fault_call(SYS_close, file, 0, 0, 0, 0, 0);
}

static void report_fault(enum class class, uint64_t number) {
    char line[96];
    if (atomic_flag_test_and_set(&fired)) return;
    snprintf(line, sizeof line, "fault %s %llu %s\n", classes[class], (unsigned long long)number, failing_how);
    report(line);
}

static void on_death(int signal) { /* once: the next is the system's */
    char line[96];
    inside = true;
    snprintf(line, sizeof line, "died %d\n", signal);
    report(line);
    inside = false;
    psal_fault_call(SYS_tgkill, getpid(), gettid(), signal, 0, 0, 0);
}

/* Remember where the call came from; true when that place is to fail, and has not yet. */
static bool remember(enum class class, uint64_t number) {
    static struct site now; /* under sites_busy */
    lock_sites();
    look(&now, (int)class);
    size_t at = now.hash % MOST_SITES;
    while (sites[at].count > 0 && sites[at].hash != now.hash) at = (at + 1) % MOST_SITES;
    if (sites[at].count == 0 && site_count < MOST_SITES - 1) {
        sites[at] = now;
        site_count++;
    }
    sites[at].count++;
    if (number <= MOST_CALLS) calls[class][number - 1] = now.hash;
    bool fail = by_site && now.hash == failing_site && sites[at].count == 1;
    atomic_flag_clear(&sites_busy);
    return fail;
}

/* Count a call; true when it is to fail. */
static bool hit(enum class class) {
    uint64_t number = atomic_fetch_add(&counts[class], 1) + 1;
    bool fail = fails && !by_site && class == failing &&
                (onwards ? number >= failing_number : number == failing_number);
    inside = true;
    if ((*count_path || by_site) && remember(class, number)) fail = true;
    if (fail) report_fault(class, number);
    inside = false;
    return fail;
}

/* ---- allocations ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool allocation_fails(void) {
    if (!atomic_load_explicit(&active, memory_order_relaxed) || inside || !hit(ALLOC)) return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    return allocation_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return allocation_fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    if (size == 0 && old) return __libc_realloc(old, size); /* frees */
    return allocation_fails() ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, bytes);
}

void *memalign(size_t alignment, size_t size);

void *memalign(size_t alignment, size_t size) {
    return allocation_fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    void *made = memalign(alignment, size);
    if (!made) return ENOMEM;
    *memory = made;
    return 0;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *data) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    if (atomic_load(&active) && hit(THREAD)) return EAGAIN;
    return real(thread, attributes, start, data);
}

/* ---- system calls ---- */

static long answer(long number, const long *a) {
    int t = 0;
    while (t < TRAPPED && trapped[t].number != number) t++;
    bool counted = t < TRAPPED && !inside && atomic_load(&active);
    if (number == SYS_fcntl)
        counted = counted && (a[1] == F_SETLK || a[1] == F_SETLKW || a[1] == F_OFD_SETLK || a[1] == F_OFD_SETLKW);
    if (number == SYS_write && a[0] == 2) counted = false; /* where it is said */
    if (!counted || !hit(trapped[t].class)) return psal_fault_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (failing_error < 0) psal_fault_call(SYS_kill, getpid(), SIGKILL, 0, 0, 0, 0);
    if (is_short) { /* of a vector, only that it is interrupted */
        if (number == SYS_readv || number == SYS_writev) return -EINTR;
        return psal_fault_call(number, a[0], a[1], a[2] > 1 ? a[2] / 2 : a[2], a[3], a[4], a[5]);
    }
    if (number == SYS_close) psal_fault_call(number, a[0], 0, 0, 0, 0, 0);
    return -failing_error;
}

static void on_trap(int signal, siginfo_t *info, void *data) {
    (void)signal;
    ucontext_t *context = data;
    int before = errno;
#if defined(__x86_64__)
    greg_t *r = context->uc_mcontext.gregs;
    long a[] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
    r[REG_RAX] = answer(info->si_syscall, a);
#else
    unsigned long long *r = context->uc_mcontext.regs;
    long a[] = {(long)r[0], (long)r[1], (long)r[2], (long)r[3], (long)r[4], (long)r[5]};
    r[0] = (unsigned long long)answer(info->si_syscall, a);
#endif
    errno = before;
}

/* False where the kernel does not offer seccomp. */
static bool trap_calls(void) {
    struct sock_filter filter[8 + TRAPPED];
    int n = 0;
    uintptr_t own = (uintptr_t)psal_fault_called;
    uint32_t low = (uint32_t)own, high = (uint32_t)(own >> 32);
    const unsigned at = offsetof(struct seccomp_data, instruction_pointer);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + 4); /* both are little-endian */
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 3);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at);
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 1);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int t = 0; t < TRAPPED; t++)
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)trapped[t].number,
                                                   (uint8_t)(TRAPPED - t), 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* ---- beginning and end ---- */

static void refuse(const char *why) {
    put(2, "fault.c: ");
    put(2, why);
    put(2, "\n");
    _exit(77); /* skipped, for Meson */
}

static void parse(const char *text) {
    char name[32], number[32], how[16];
    if (sscanf(text, "%31[^:]:%31[^:]:%15s", name, number, how) != 3) refuse("PSAL_FAULT is CLASS:N:HOW");
    char *rest;
    by_site = strcmp(name, "site") == 0;
    int class = 0, error = 0;
    while (!by_site && class < CLASSES && strcmp(classes[class], name) != 0) class ++;
    while (error < (int)(sizeof errors / sizeof errors[0]) && strcmp(errors[error].name, how) != 0) error++;
    if (class == CLASSES || error == (int)(sizeof errors / sizeof errors[0]))
        refuse("PSAL_FAULT: no such class or error");
    failing = by_site ? ALLOC : (enum class) class;
    failing_number = strtoull(number, &rest, by_site ? 16 : 10);
    failing_site = failing_number;
    onwards = *rest == '+';
    failing_error = errors[error].number;
    failing_how = errors[error].name;
    is_short = failing_error == 0;
    fails = true;
}

static void write_counts(void) {
    inside = true;
    atomic_store(&active, false);
    int file = open_report(count_path);
    char text[96];
    for (int c = 0; c < CLASSES; c++) {
        snprintf(text, sizeof text, "class %s %llu\n", classes[c], (unsigned long long)atomic_load(&counts[c]));
        put(file, text);
    }
    for (int i = 0; i < MOST_SITES; i++) {
        if (sites[i].count == 0) continue;
        snprintf(text, sizeof text, "site %016llx %s %llu", (unsigned long long)sites[i].hash, classes[sites[i].class],
                 (unsigned long long)sites[i].count);
        put(file, text);
        put_stack(file, &sites[i]);
    }
    for (int c = ALLOC + 1; c < CLASSES; c++) {
        snprintf(text, sizeof text, "calls %s", classes[c]);
        put(file, text);
        for (uint64_t i = 0; i < atomic_load(&counts[c]) && i < MOST_CALLS; i++) {
            snprintf(text, sizeof text, " %016llx", (unsigned long long)calls[c][i]);
            put(file, text);
        }
        put(file, "\n");
    }
    psal_fault_call(SYS_close, file, 0, 0, 0, 0, 0);
}

static void start(void) {
    if (!trap_calls()) refuse("this system does not let a process filter its system calls");
    atomic_store(&active, true);
}

__attribute__((constructor)) static void begin(void) {
    const char *what = getenv("PSAL_FAULT"), *log = getenv("PSAL_FAULT_LOG"), *count = getenv("PSAL_FAULT_COUNT");
    const char *from = getenv("PSAL_FAULT_FROM");
    enabled = what || count;
    if (!enabled) return;
    inside = true;
    if (what) parse(what);
    if (log) snprintf(log_path, sizeof log_path, "%s", log);
    if (count) snprintf(count_path, sizeof count_path, "%s", count);
    from_start = from && strcmp(from, "start") == 0;
    dl_iterate_phdr(add_module, NULL);
    struct site warm; /* the unwinder prepares itself at its first use */
    look(&warm, ALLOC);
    inside = false;
    const int deaths[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    static char stack[1 << 16]; /* the main thread's own may be what is broken */
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_handler = on_death, .sa_flags = (int)SA_RESETHAND | SA_NODEFER | SA_ONSTACK};
    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++) sigaction(deaths[i], &action, NULL);
    if (from_start) start();
}

__attribute__((destructor)) static void end(void) {
    if (*count_path) write_counts();
}

static int (*real_main)(int, char **, char **);

static int main_with_faults(int argc, char **argv, char **environment) {
    if (enabled && !from_start) start();
    return real_main(argc, argv, environment);
}

typedef int starter(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                    void *);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end);

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end) {
    starter *real;
    *(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = main;
    return real(main_with_faults, argc, argv, init, fini, loader_fini, stack_end);
}
