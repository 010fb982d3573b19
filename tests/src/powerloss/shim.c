/*
 * Preloaded into a process, this writes down every change of a file below ALMANAC_SHIM_ROOT, in the
 * order in which the system made them, to the file ALMANAC_SHIM_LOG. After ALMANAC_SHIM_KILL records,
 * if that is set, it kills the process.
 *
 * One lock is held over each change and its record, so the order of the records is the order of the
 * changes. A sync has two records: what was written down before its begin is on the disk once its end is
 * written down. sync_file_range has none: it promises nothing about the loss of power.
 *
 * Record: kind, four numbers of 64 bits (file, a, b, bytes that follow), then a path or data.
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

enum { OPEN = 'o', CREATE = 'c', WRITE = 'w', LENGTH = 'l', SYNC = 's', SYNCED = 'S', RENAME = 'r',
       UNLINK = 'u', MKDIR = 'm', TROUBLE = '!' };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_length;
static long records_left = -1;

__attribute__((constructor)) static void begin(void) {
  const char *below = getenv("ALMANAC_SHIM_ROOT"), *log = getenv("ALMANAC_SHIM_LOG");
  if (!below || !log || !realpath(below, root)) return;
  root_length = strlen(root);
  if (getenv("ALMANAC_SHIM_KILL")) records_left = atol(getenv("ALMANAC_SHIM_KILL"));
  log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* A recording with a hole would prove nothing. */
static void give_up(void) { syscall(SYS_exit_group, 70); }

/* As SIGKILL from outside does, but never between a change and its record: the lock is held. */
static void die(void) {
  for (;;) syscall(SYS_kill, getpid(), SIGKILL);
}

static void record(char kind, uint64_t file, uint64_t a, uint64_t b, const void *data, size_t length) {
  uint64_t numbers[4] = {file, a, b, length};
  struct iovec parts[3] = {{&kind, 1}, {numbers, sizeof numbers}, {(void *)data, length}};
  ssize_t whole = (ssize_t)(1 + sizeof numbers + length);
  if (syscall(SYS_writev, log_fd, parts, 3) != whole) give_up();
  if (records_left > 0 && --records_left == 0) die();
}

/* The path below the root as `out`, or 0 when it is elsewhere. */
static int below(int dir, const char *path, char *out) {
  char whole[PATH_MAX * 2], parent[PATH_MAX], link[64];
  if (log_fd < 0) return 0;
  if (path[0] == '/' ) {
    snprintf(whole, sizeof whole, "%s", path);
  } else if (dir == AT_FDCWD) {
    if (!getcwd(parent, sizeof parent)) return 0;
    snprintf(whole, sizeof whole, "%s/%s", parent, path);
  } else {
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t length = readlink(link, parent, sizeof parent - 1);
    if (length < 0) return 0;
    parent[length] = 0;
    snprintf(whole, sizeof whole, "%s/%s", parent, path);
  }
  if (strncmp(whole, root, root_length) || (whole[root_length] && whole[root_length] != '/')) return 0;
  snprintf(out, PATH_MAX, "%s", whole[root_length] ? whole + root_length + 1 : "");
  return 1;
}

/* The inode of an open file below the root, or 0. */
static uint64_t inode(int fd) {
  char link[64], path[PATH_MAX];
  struct stat stat;
  if (log_fd < 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < (ssize_t)root_length || strncmp(path, root, root_length)) return 0;
  return fstat(fd, &stat) ? 0 : stat.st_ino;
}

static int opened(int dir, const char *path, int flags, mode_t mode) {
  char name[PATH_MAX];
  if (!below(dir, path, name)) return (int)syscall(SYS_openat, dir, path, flags, mode);
  pthread_mutex_lock(&lock);
  int absent = (flags & O_CREAT) && faccessat(dir, path, F_OK, 0);
  int fd = (int)syscall(SYS_openat, dir, path, flags, mode), error = errno;
  if (fd >= 0) {
    struct stat stat;
    if (fstat(fd, &stat)) give_up();
    record(absent ? CREATE : OPEN, stat.st_ino, S_ISDIR(stat.st_mode), 0, name, strlen(name));
    if (!absent && (flags & O_TRUNC)) record(LENGTH, stat.st_ino, 0, 0, "", 0);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags) return opened(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE(flags) return opened(dir, path, flags, mode); }

/* A write at `offset`, or where the file stands when that is negative. */
static ssize_t written(int fd, const void *data, size_t length, off_t offset) {
  uint64_t file = inode(fd);
  if (!file) {
    return offset < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
  }
  pthread_mutex_lock(&lock);
  off_t at = offset;
  if (offset < 0) {
    at = (fcntl(fd, F_GETFL) & O_APPEND) ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
  }
  ssize_t done = offset < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
  int error = errno;
  if (done > 0) record(WRITE, file, (uint64_t)at, 0, data, (size_t)done);
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return written(fd, data, length, at); }
ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) { return written(fd, data, length, at); }

static int cut(int fd, off_t length) {
  uint64_t file = inode(fd);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_ftruncate, fd, length), error = errno;
  if (file && !result) record(LENGTH, file, (uint64_t)length, 0, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off_t length) { return cut(fd, length); }

static int synced(int fd, long call) {
  static uint64_t number;
  uint64_t file = inode(fd), mine = 0;
  if (file) {
    pthread_mutex_lock(&lock);
    mine = ++number;
    record(SYNC, file, mine, (uint64_t)getpid(), "", 0);
    pthread_mutex_unlock(&lock);
  }
  int result = (int)syscall(call, fd), error = errno;
  if (file && !result) {
    pthread_mutex_lock(&lock);
    record(SYNCED, file, mine, (uint64_t)getpid(), "", 0);
    pthread_mutex_unlock(&lock);
  }
  errno = error;
  return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int rename(const char *from, const char *to) {
  char a[PATH_MAX], both[PATH_MAX * 2 + 1];
  char b[PATH_MAX];
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), error = errno;
  if (!result && below(AT_FDCWD, from, a) && below(AT_FDCWD, to, b)) {
    int length = snprintf(both, sizeof both, "%s\n%s", a, b);
    record(RENAME, 0, 0, 0, both, (size_t)length);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

static int removed(int dir, const char *path, int flags) {
  char name[PATH_MAX];
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_unlinkat, dir, path, flags), error = errno;
  if (!result && below(dir, path, name)) record(UNLINK, 0, 0, 0, name, strlen(name));
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int dir, const char *path, int flags) { return removed(dir, path, flags); }

int mkdir(const char *path, mode_t mode) {
  char name[PATH_MAX];
  struct stat status;
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode), error = errno;
  if (!result && below(AT_FDCWD, path, name)) {
    if (stat(path, &status)) give_up();
    record(MKDIR, status.st_ino, 0, 0, name, strlen(name));
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

void abort(void) {
  pthread_mutex_lock(&lock);
  die();
}

/* Ways of changing a file that are not followed. Whoever begins to use one has to teach this file. */
static void trouble(int fd, const char *what) {
  if (!inode(fd)) return;
  pthread_mutex_lock(&lock);
  record(TROUBLE, 0, 0, 0, what, strlen(what));
  pthread_mutex_unlock(&lock);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  trouble(fd, "writev");
  return syscall(SYS_writev, fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  trouble(fd, "pwritev");
  return syscall(SYS_pwritev, fd, parts, count, at, 0);
}
int fallocate(int fd, int mode, off_t at, off_t length) {
  trouble(fd, "fallocate");
  return (int)syscall(SYS_fallocate, fd, mode, at, length);
}
int fallocate64(int fd, int mode, off_t at, off_t length) { return fallocate(fd, mode, at, length); }
ssize_t copy_file_range(int from, off_t *a, int to, off_t *b, size_t length, unsigned flags) {
  trouble(to, "copy_file_range");
  return syscall(SYS_copy_file_range, from, a, to, b, length, flags);
}
