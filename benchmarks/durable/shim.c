/*
Loaded before the C library (LD_PRELOAD): a sync lasts SYNC_US microseconds, whatever the disk does,
and is counted, as are writes and their bytes. On tmpfs that is a disk whose every sync takes as long.
*/

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long syncs, writes, bytes, lasts_us;

__attribute__((constructor)) static void begin(void) {
    const char *said = getenv("SYNC_US");
    lasts_us = said ? atol(said) : 0;
}

void counted(long *into) {
    into[0] = syncs;
    into[1] = writes;
    into[2] = bytes;
}

static long since_us(const struct timespec *begun) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - begun->tv_sec) * 1000000 + (now.tv_nsec - begun->tv_nsec) / 1000;
}

/* Asleep but for the end: the system wakes who sleeps some 60 us late. */
static int sync_lasts(void) {
    struct timespec begun, rest = {lasts_us / 1000000, (lasts_us % 1000000 - 60) * 1000};
    clock_gettime(CLOCK_MONOTONIC, &begun);
    __sync_fetch_and_add(&syncs, 1);
    if (lasts_us >= 150)
        nanosleep(&rest, NULL);
    while (since_us(&begun) < lasts_us)
        ;
    return 0;
}

int fsync(int fd) {
    (void)fd;
    return sync_lasts();
}

int fdatasync(int fd) {
    (void)fd;
    return sync_lasts();
}

#define WRITES(name, parameters, arguments)                                                        \
    ssize_t name parameters {                                                                      \
        static ssize_t(*next) parameters;                                                          \
        if (!next)                                                                                 \
            next = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name);                                 \
        ssize_t done = next arguments;                                                             \
        __sync_fetch_and_add(&writes, 1);                                                          \
        if (done > 0)                                                                              \
            __sync_fetch_and_add(&bytes, done);                                                    \
        return done;                                                                               \
    }

WRITES(write, (int fd, const void *data, size_t size), (fd, data, size))
WRITES(pwrite, (int fd, const void *data, size_t size, off_t to), (fd, data, size, to))
WRITES(writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
WRITES(pwritev, (int fd, const struct iovec *parts, int count, off_t to), (fd, parts, count, to))
#ifdef __GLIBC__
WRITES(pwrite64, (int fd, const void *data, size_t size, off64_t to), (fd, data, size, to))
WRITES(pwritev64, (int fd, const struct iovec *parts, int count, off64_t to),
       (fd, parts, count, to))
#endif
