// A file system that never answers, for tests: FUSE without a server, where there is a right to
// mount one.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>

#include "common/unique_fd.h"

namespace jamsock::test {

// Mounted on `path`, a directory, where only this thread and the processes that it starts see it:
// who looks at what is in it waits, and can be killed. At the end all looks fail.
class HungFileSystem {
  public:
    explicit HungFileSystem(const std::string& path)
        : path_(path),
          outside_(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)),
          device_(::open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
        if (!outside_ || !device_ || ::unshare(CLONE_NEWNS) != 0) return;
        is_inside_ = true;
        const std::string options =
            fmt::format("fd={},rootmode=40000,user_id={},group_id={},allow_other", device_.get(),
                        ::getuid(), ::getgid());
        is_mounted_ = ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                      ::mount("jamsock-test", path.c_str(), "fuse", MS_NOSUID | MS_NODEV,
                              options.c_str()) == 0 &&
                      answer_init();
    }
    HungFileSystem(const HungFileSystem&) = delete;
    HungFileSystem& operator=(const HungFileSystem&) = delete;
    ~HungFileSystem() {
        device_.reset();
        if (is_mounted_) ::umount2(path_.c_str(), MNT_DETACH);
        if (is_inside_) ::setns(outside_.get(), CLONE_NEWNS);
    }
    bool is_mounted() const { return is_mounted_; }

  private:
    // The one request that is read: the kernel sends no other before.
    bool answer_init() const {
        std::array<char, FUSE_MIN_READ_BUFFER> request{};
        if (::read(device_.get(), request.data(), request.size()) <= 0) return false;
        struct {
            fuse_out_header header;
            fuse_init_out init;
        } answer{};
        answer.header.len = sizeof answer;
        answer.header.unique = reinterpret_cast<const fuse_in_header*>(request.data())->unique;
        answer.init.major = FUSE_KERNEL_VERSION;
        answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
        answer.init.max_write = 4096;
        return ::write(device_.get(), &answer, sizeof answer) == sizeof answer;
    }

    std::string path_;
    UniqueFd outside_, device_;
    bool is_inside_ = false;
    bool is_mounted_ = false;
};

}  // namespace jamsock::test
