/* A file system that refuses system calls, for processes that preload this library: below the folder $REFUSE_IN, the
   calls in $REFUSE fail, such as "flock=ENOLCK fsync_folder=EINVAL". */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int error_for(const char *call) {
    static const struct { const char *name; int number; } errors[] = {
        {"ENOLCK", ENOLCK}, {"EINVAL", EINVAL}, {"EIO", EIO}, {"EPERM", EPERM}, {"ENODEV", ENODEV}, {"ENOSYS", ENOSYS},
        {"EOPNOTSUPP", EOPNOTSUPP},
    };
    const char *all = getenv("REFUSE"), *found = all;
    size_t length = strlen(call);
    while (found && (found = strstr(found, call)) != NULL) {
        if ((found == all || found[-1] == ' ') && found[length] == '=')
            for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
                if (!strncmp(found + length + 1, errors[i].name, strlen(errors[i].name))) return errors[i].number;
        found += length;
    }
    return 0;
}

static int below(const char *path) {
    const char *folder = getenv("REFUSE_IN");
    return folder && path && !strncmp(path, folder, strlen(folder));
}

static int fd_below(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

#define REFUSE(call, there)                                  \
    do {                                                     \
        int number = (there) ? error_for(call) : 0;          \
        if (number) { errno = number; return -1; }           \
    } while (0)
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int flock(int fd, int operation) { REFUSE("flock", fd_below(fd)); return REAL(flock)(fd, operation); }

static int is_folder(int fd) { struct stat s; return fstat(fd, &s) == 0 && S_ISDIR(s.st_mode); }

int fsync(int fd) {
    if (is_folder(fd)) REFUSE("fsync_folder", fd_below(fd));
    else REFUSE("fsync_file", fd_below(fd));
    return REAL(fsync)(fd);
}

int fdatasync(int fd) { REFUSE("fsync_file", fd_below(fd)); return REAL(fdatasync)(fd); }
int link(const char *from, const char *to) { REFUSE("link", below(to)); return REAL(link)(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    REFUSE("link", below(to));
    return REAL(linkat)(a, from, b, to, flags);
}
int chmod(const char *path, mode_t mode) { REFUSE("chmod", below(path)); return REAL(chmod)(path, mode); }
int fchmod(int fd, mode_t mode) { REFUSE("chmod", fd_below(fd)); return REAL(fchmod)(fd, mode); }
int chown(const char *path, uid_t user, gid_t group) { REFUSE("chown", below(path)); return REAL(chown)(path, user, group); }
int fchown(int fd, uid_t user, gid_t group) { REFUSE("chown", fd_below(fd)); return REAL(fchown)(fd, user, group); }

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) {
        int number = fd_below(fd) ? error_for("mmap") : 0;
        if (number) { errno = number; return MAP_FAILED; }
    }
    return REAL(mmap)(at, length, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    return mmap(at, length, protection, flags, fd, offset);
}

static int locks(int command) {
    return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
}
int fcntl(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (locks(command)) REFUSE("fcntl_lock", fd_below(fd));
    if (command == F_SETLEASE) REFUSE("lease", fd_below(fd));
    return REAL(fcntl)(fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fcntl(fd, command, argument);
}
