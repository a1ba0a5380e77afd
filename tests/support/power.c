/*
Loaded before the C library (LD_PRELOAD), this writes down what a process does to the files in one
folder, in order: what is written where, what is synced, which names are made and removed.

    POWER_FOLDER   the folder      POWER_LOG   where to write it down
    POWER_LIFE     after so many entries the process is killed

An entry is a head, a name, and data. Syncs are not made: who reads the log is the disk.
*/

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct head {
    uint64_t kind, inode, place, name, data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static int log_fd = -1;
static long life = -1;

__attribute__((constructor)) static void begin(void) {
    const char *to = getenv("POWER_LOG"), *most = getenv("POWER_LIFE");
    folder = getenv("POWER_FOLDER");
    if (folder && to)
        log_fd = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (most)
        life = atol(most);
}

/* The name below the folder; "" for the folder itself; NULL for what is elsewhere, or shared memory
   of SQLite's, which is written by mapping and made anew after a crash. */
static const char *inside(const char *path) {
    size_t length = folder ? strlen(folder) : 0;
    if (log_fd < 0 || !length || strncmp(path, folder, length) || strstr(path, "-shm"))
        return NULL;
    if (!path[length])
        return path + length;
    return path[length] == '/' ? path + length + 1 : NULL;
}

static int is_inside(int fd, const char **name) {
    static __thread char path[PATH_MAX];
    char link[64];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = log_fd < 0 ? -1 : readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0)
        return 0;
    path[length] = 0;
    return (*name = inside(path)) != NULL;
}

static void note(char kind, uint64_t inode, uint64_t place, const char *name, const void *data,
                 size_t size) {
    int kept = errno;
    struct head head = {(uint64_t)kind, inode, place, strlen(name), size};
    struct iovec parts[3] = {
        {&head, sizeof head}, {(void *)name, head.name}, {(void *)data, size}};
    ssize_t done = syscall(SYS_writev, log_fd, parts, 3);
    if (done != (ssize_t)(sizeof head + head.name + size))
        abort();
    if (life > 0 && --life == 0)
        kill(getpid(), SIGKILL);
    errno = kept;
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : (uint64_t)found.st_ino;
}

#define NEXT(name, ...)                                                                            \
    static __typeof__(&name) next;                                                                 \
    if (!next)                                                                                     \
        next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);

/* --- names */

static int opened(int (*next)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    const char *name = inside(path);
    if (!name || !(flags & (O_CREAT | O_TRUNC)))
        return next(path, flags, mode);
    pthread_mutex_lock(&lock);
    int was_there = !access(path, F_OK);
    int fd = next(path, flags, mode);
    if (fd >= 0 && !was_there)
        note('c', inode_of(fd), 0, name, "", 0);
    else if (fd >= 0 && flags & O_TRUNC)
        note('t', inode_of(fd), 0, name, "", 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        NEXT(name)                                                                                 \
        mode_t mode = 0;                                                                           \
        if (flags & O_CREAT) {                                                                     \
            va_list more;                                                                          \
            va_start(more, flags);                                                                 \
            mode = va_arg(more, int);                                                              \
            va_end(more);                                                                          \
        }                                                                                          \
        return opened(next, path, flags, mode);                                                    \
    }

OPEN(open)

int unlink(const char *path) {
    NEXT(unlink)
    const char *name = inside(path);
    if (!name)
        return next(path);
    pthread_mutex_lock(&lock);
    int failed = next(path);
    if (!failed)
        note('u', 0, 0, name, "", 0);
    pthread_mutex_unlock(&lock);
    return failed;
}

int rename(const char *from, const char *to) {
    NEXT(rename)
    const char *name = inside(from), *after = inside(to);
    if (!name || !after)
        return next(from, to);
    pthread_mutex_lock(&lock);
    int failed = next(from, to);
    if (!failed)
        note('r', 0, 0, name, after, strlen(after));
    pthread_mutex_unlock(&lock);
    return failed;
}

/* --- what is written */

#define WRITES(result, name, parameters, arguments, noted)                                         \
    result name parameters {                                                                       \
        NEXT(name)                                                                                 \
        const char *file;                                                                          \
        if (!is_inside(fd, &file))                                                                 \
            return next arguments;                                                                 \
        pthread_mutex_lock(&lock);                                                                 \
        result done = next arguments;                                                              \
        noted;                                                                                     \
        pthread_mutex_unlock(&lock);                                                               \
        return done;                                                                               \
    }

static void noted_parts(int fd, const char *file, const struct iovec *parts, ssize_t done,
                        uint64_t place) {
    for (; done > 0; parts++) {
        size_t size = (size_t)done < parts->iov_len ? (size_t)done : parts->iov_len;
        note('w', inode_of(fd), place, file, parts->iov_base, size);
        place += size;
        done -= size;
    }
}

#define AT(place)                                                                                  \
    if (done > 0)                                                                                  \
    note('w', inode_of(fd), place, file, data, done)
#define HERE (lseek(fd, 0, SEEK_CUR) - done)
#define PLAIN(kind, place)                                                                         \
    if (!done)                                                                                     \
    note(kind, inode_of(fd), place, file, "", 0)

WRITES(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), AT(HERE))
WRITES(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t to), (fd, data, size, to),
       AT(to))
WRITES(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count),
       noted_parts(fd, file, parts, done, HERE))
WRITES(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t to),
       (fd, parts, count, to), noted_parts(fd, file, parts, done, to))
WRITES(int, ftruncate, (int fd, off_t size), (fd, size), PLAIN('t', size))
WRITES(int, posix_fallocate, (int fd, off_t from, off_t size), (fd, from, size),
       PLAIN('l', from + size))
WRITES(int, fallocate, (int fd, int how, off_t from, off_t size), (fd, how, from, size),
       PLAIN(how ? '?' : 'l', from + size))

static int cut(int (*next)(const char *, off_t), const char *path, off_t size) {
    const char *name = inside(path);
    struct stat found;
    if (!name)
        return next(path, size);
    pthread_mutex_lock(&lock);
    int failed = next(path, size);
    if (!failed && !stat(path, &found))
        note('t', found.st_ino, size, name, "", 0);
    pthread_mutex_unlock(&lock);
    return failed;
}

int truncate(const char *path, off_t size) {
    NEXT(truncate)
    return cut(next, path, size);
}

#ifdef __GLIBC__ /* where each has a second name; both take 64 bits on any machine of today's */
OPEN(open64)
WRITES(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t to),
       (fd, data, size, to), AT(to))
WRITES(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t to),
       (fd, parts, count, to), noted_parts(fd, file, parts, done, to))
WRITES(int, ftruncate64, (int fd, off64_t size), (fd, size), PLAIN('t', size))
WRITES(int, posix_fallocate64, (int fd, off64_t from, off64_t size), (fd, from, size),
       PLAIN('l', from + size))
WRITES(int, fallocate64, (int fd, int how, off64_t from, off64_t size), (fd, how, from, size),
       PLAIN(how ? '?' : 'l', from + size))

int truncate64(const char *path, off64_t size) {
    NEXT(truncate64)
    return cut((int (*)(const char *, off_t))next, path, size);
}
#endif

/* --- syncs */

#define SYNC(name)                                                                                 \
    int name(int fd) {                                                                             \
        NEXT(name)                                                                                 \
        const char *file;                                                                          \
        if (!is_inside(fd, &file))                                                                 \
            return next(fd);                                                                       \
        pthread_mutex_lock(&lock);                                                                 \
        note(*file ? 's' : 'd', inode_of(fd), 0, file, "", 0);                                     \
        pthread_mutex_unlock(&lock);                                                               \
        return 0;                                                                                  \
    }

SYNC(fsync)
SYNC(fdatasync)
