// A full disk for tests: a small file system of their own, where there is a right to mount one.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/unique_fd.h"

namespace jamsock::test {

// A file system of this size on `path`, which only this process and those it starts see. Gone at
// the end, when all of these have ended.
class SmallDisk {
  public:
    SmallDisk(const std::string& path, const std::string& size)
        : path_(path), outside_(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)) {
        if (!outside_ || ::unshare(CLONE_NEWNS) != 0) return;
        is_inside_ = true;
        const std::string options = "mode=0700,size=" + size;
        is_mounted_ = ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                      ::mount("jamsock-test", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                              options.c_str()) == 0;
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk() {
        if (is_mounted_) ::umount2(path_.c_str(), MNT_DETACH);
        if (is_inside_) ::setns(outside_.get(), CLONE_NEWNS);
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    bool is_mounted() const { return is_mounted_; }

    // Leaves at most `left` bytes free.
    void fill(std::uintmax_t left) const {
        std::ofstream filler(path_ + "/filler", std::ios::binary | std::ios::app);
        const std::string piece(1024, 'x');
        while (std::filesystem::space(path_).available > left &&
               filler.write(piece.data(), 1024).flush()) {
        }
    }
    void free() const { std::filesystem::remove(path_ + "/filler"); }

  private:
    std::string path_;
    UniqueFd outside_;
    bool is_inside_ = false;
    bool is_mounted_ = false;
};

}  // namespace jamsock::test
