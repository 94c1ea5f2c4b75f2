/* Preloaded: counts the allocations of a process, and makes one of them fail.
 *
 * What failed, and where the process died of it, is written to a page that a fork shares with its parent, so that the
 * parent can name both after the child's death.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FRAMES 48
#define SITE_FRAMES 7
#define RANGES 256
#define TRACED (1 << 20)

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

struct stack {
    int64_t n;
    void *frames[FRAMES];
};

struct record {
    int64_t size;
    struct stack failed;
    struct stack died;
};

static struct record *record;
static uint64_t *sites;
static volatile int armed;
static int tracing;
static long counted, failing;
static size_t least;
static struct { uintptr_t low, high; } ranges[RANGES];
static int n_ranges, anywhere;
static const char *wanted;
static __thread int inside;

static int note_object(struct dl_phdr_info *info, size_t size, void *unused) {
    (void) size, (void) unused;
    if (!strstr(info->dlpi_name, wanted))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && n_ranges < RANGES; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
            ranges[n_ranges].low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            ranges[n_ranges++].high = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        }
    return 0;
}

static int within(const void *caller) {
    for (int i = 0; i < n_ranges; i++)
        if ((uintptr_t) caller >= ranges[i].low && (uintptr_t) caller < ranges[i].high)
            return 1;
    return anywhere;
}

static void take(struct stack *into) {
    into->n = backtrace(into->frames, FRAMES);
}

static void died(int number) {
    armed = 0;
    if (!record->died.n)
        take(&record->died);
    signal(number, SIG_DFL);
    raise(number);
}

/* On its own stack: a stack that has overflown is one of the ways to die. */
static void watch_signals(void) {
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    static char space[1 << 16];
    stack_t alternative = {.ss_sp = space, .ss_size = sizeof space};
    struct sigaction action = {.sa_handler = died, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&alternative, NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
}

void exit(int status) {
    void (*real)(int) = (void (*)(int)) dlsym(RTLD_NEXT, "exit");
    if (armed && record && !record->died.n) {
        armed = 0;
        take(&record->died);
    }
    real(status);
    __builtin_unreachable();
}

/* The number of allocations since shim_arm that were of least bytes or more and made by the objects named. */
long shim_count(void) {
    return counted;
}

static int make_record(void) {
    if (record)
        return 0;
    record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sites = mmap(NULL, TRACED * sizeof *sites, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (record == MAP_FAILED || sites == MAP_FAILED)
        return -1;
    take(&record->failed); /* the first backtrace loads libgcc */
    return 0;
}

/* Note where the process dies, and make nothing fail: least is more than any allocation. */
int shim_watch(void) {
    if (make_record())
        return -1;
    memset(record, 0, sizeof *record);
    watch_signals();
    least = SIZE_MAX;
    armed = 1;
    return 0;
}

/* From now on count, and fail number n (none for 0). objects: part of a path, or "" for every caller.
   trace: note at shim_sites a hash of the callers of each. */
int shim_arm(long n, size_t least_bytes, const char *objects, int trace) {
    if (make_record())
        return -1;
    memset(record, 0, sizeof *record);
    counted = 0;
    failing = n;
    least = least_bytes;
    tracing = trace;
    n_ranges = 0;
    wanted = objects;
    anywhere = !*objects;
    if (!anywhere)
        dl_iterate_phdr(note_object, NULL);
    if (n)
        watch_signals();
    armed = 1;
    return n_ranges;
}

void shim_off(void) {
    armed = 0;
}

const struct record *shim_record(void) {
    return record;
}

const uint64_t *shim_sites(void) {
    return sites;
}

static uint64_t hash_of(const struct stack *stack) {
    uint64_t hash = 14695981039346656037u;
    for (int i = 2; i < stack->n && i < 2 + SITE_FRAMES; i++)
        hash = (hash ^ (uintptr_t) stack->frames[i]) * 1099511628211u;
    return hash;
}

static int fails(size_t size, const void *caller) {
    if (!armed || inside || size < least || !within(caller))
        return 0;
    long number = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    if (tracing && number <= TRACED) {
        struct stack stack;
        inside = 1;
        take(&stack);
        sites[number - 1] = hash_of(&stack);
        inside = 0;
    }
    if (number != failing)
        return 0;
    inside = 1;
    record->size = (int64_t) size;
    take(&record->failed);
    inside = 0;
    errno = ENOMEM;
    return 1;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t size) {
    return fails(size, CALLER) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    return fails(n * size, CALLER) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size) {
    return fails(size, CALLER) ? NULL : __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    return fails(size, CALLER) ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return fails(size, CALLER) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    if (fails(size, CALLER))
        return ENOMEM;
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}
