// Who may use this process's descriptors when they are few. Each use leaves some free for those
// after it: new backends, which keep theirs, are refused first; then clients of the API have to
// wait; last come the clients of backends. What remains is for what all of these need on the way.
// Any thread.
#pragma once

#include <cstddef>

namespace jamsock {

enum class DescriptorUse { backend, api_client, proxy_client };

// How many of `limit` descriptors the use must leave free. Pure.
std::size_t left_free_by(DescriptorUse use, std::size_t limit);

std::size_t descriptor_limit();

// Reads /proc: microseconds from Linux 6.2 on, before that as many as there are descriptors.
std::size_t open_descriptors();

// The kernel gives out the lowest free number, so everything below this one is in use; the limit,
// if none is left.
std::size_t lowest_free_descriptor();

}  // namespace jamsock
