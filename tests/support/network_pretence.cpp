// Loaded into a program (LD_PRELOAD), makes every file system look to it like NFS.
#include <linux/magic.h>
#include <sys/statfs.h>

namespace {

template <class Status>
int pretend(Status* status) {
    *status = {};
    status->f_type = NFS_SUPER_MAGIC;
    return 0;
}

}  // namespace

extern "C" int fstatfs(int, struct statfs* status) noexcept {
    return pretend(status);
}
extern "C" int fstatfs64(int, struct statfs64* status) noexcept {
    return pretend(status);
}
