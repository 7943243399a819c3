/* A disk that fails on demand: while the file $FAILING_DISK.sync is there, fsync fails with EIO
   after the data has reached the page cache; while $FAILING_DISK.write is, writes fail with EROFS. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static int is_there(const char *kind) {
    char path[PATH_MAX];
    const char *flag = getenv("FAILING_DISK");
    if (!flag) return 0;
    snprintf(path, sizeof path, "%s.%s", flag, kind);
    return access(path, F_OK) == 0;
}

#define FAIL_WHILE(kind, error) if (is_there(kind)) { errno = error; return -1; }
#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int fsync(int fd) { REAL(fsync); FAIL_WHILE("sync", EIO); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); FAIL_WHILE("sync", EIO); return real(fd); }

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    REAL(pwrite);
    FAIL_WHILE("write", EROFS);
    return real(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL(pwrite64);
    FAIL_WHILE("write", EROFS);
    return real(fd, data, size, offset);
}
