// What a test's backend holds and says it holds, so that two generations alive at once are seen
// whatever jamsock believes. For `test_backend` and its children.
#pragma once

#include <string>
#include <string_view>

namespace jamsock::test {

[[noreturn]] void die(const char* what);
bool write_all(int fd, std::string_view bytes);

class Journal {
  public:
    Journal(std::string path, std::string token, std::string role)
        : path_(std::move(path)), token_(std::move(token)), role_(std::move(role)) {}

    // One write with O_APPEND: lines of several processes don't mix.
    void write(const char* event) const;

    // The descriptor stays open without close-on-exec: the lock lasts as long as the process and
    // whatever inherits it.
    void lock(const std::string& file) const;

    // The lock of this role: other programs don't inherit it, forked children do.
    void lock_own(const std::string& resource) const;

  private:
    std::string path_;
    std::string token_;
    std::string role_;
};

}  // namespace jamsock::test
