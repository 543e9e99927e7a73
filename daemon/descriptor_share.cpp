#include "daemon/descriptor_share.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "common/unique_fd.h"

namespace jamsock {

namespace {

std::size_t not_for_streams(std::size_t limit) {
    constexpr std::size_t enough_for_others = 256;
    return std::min(most_api_connections(limit) / 2, enough_for_others);
}

}  // namespace

std::size_t left_free_by(DescriptorUse use, std::size_t limit) {
    switch (use) {
        case DescriptorUse::backend:
            return limit / 2;
        case DescriptorUse::proxy_client:
            return limit / 4;
        case DescriptorUse::exchange:
            break;
    }
    return limit * 3 / 16;
}

std::size_t most_api_connections(std::size_t limit) {
    return std::max<std::size_t>(8, limit / 8);
}

std::size_t most_with_tcp_client(std::size_t limit) {
    return most_api_connections(limit) - not_for_streams(limit) / 2;
}

std::size_t most_api_strangers(std::size_t limit) {
    constexpr std::size_t enough = 256;
    return std::clamp<std::size_t>(most_with_tcp_client(limit) / 4, 2, enough);
}

std::size_t most_streams(std::size_t limit) {
    return most_api_connections(limit) - not_for_streams(limit);
}

std::size_t most_strangers(std::size_t limit) {
    constexpr std::size_t enough = 1024;
    return std::clamp<std::size_t>(limit / 16, 4, enough);
}

std::size_t descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

bool must_leave_free(DescriptorUse use, std::size_t descriptor) {
    const std::size_t limit = descriptor_limit();
    return descriptor >= limit - left_free_by(use, limit);
}

std::size_t open_descriptors() {
    struct stat status {};
    if (::stat("/proc/self/fd", &status) == 0 && status.st_size > 0) {
        return static_cast<std::size_t>(status.st_size);
    }
    std::error_code none_left;
    const std::filesystem::directory_iterator entries("/proc/self/fd", none_left);
    return none_left ? descriptor_limit()
                     : static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

std::size_t lowest_free_descriptor() {
    const UniqueFd lowest(::open("/", O_PATH | O_CLOEXEC));
    return lowest ? static_cast<std::size_t>(lowest.get()) : descriptor_limit();
}

}  // namespace jamsock
