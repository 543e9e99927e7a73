#include "common/instance_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "common/runtime_paths.h"
#include "common/unique_fd.h"

namespace jamsock {

namespace {

constexpr const char* unfinished_instance = "instance.new";
constexpr std::size_t largest_instance = 3 * PATH_MAX;

// Each ends with NUL, which no path has.
std::string next_text(std::string_view& left) {
    const std::string_view text = left.substr(0, left.find('\0'));
    left.remove_prefix(std::min(text.size() + 1, left.size()));
    return std::string(text);
}

}  // namespace

Instance read_instance(int state_directory) {
    const UniqueFd file(
        ::openat(state_directory, state_file::instance, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    char bytes[largest_instance];
    const ssize_t length = file ? ::pread(file.get(), bytes, sizeof bytes, 0) : 0;
    std::string_view left(bytes, length > 0 ? static_cast<std::size_t>(length) : 0);
    Instance instance;
    instance.directory = next_text(left);
    instance.path = next_text(left);
    instance.copy_of = next_text(left);
    return instance;
}

bool write_instance(int state_directory, const Instance& instance) {
    std::string bytes;
    for (const std::string* text : {&instance.directory, &instance.path, &instance.copy_of})
        bytes += *text + '\0';
    const UniqueFd file(::openat(state_directory, unfinished_instance,
                                 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    return file &&
           ::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
           ::renameat(state_directory, unfinished_instance, state_directory,
                      state_file::instance) == 0;
}

}  // namespace jamsock
