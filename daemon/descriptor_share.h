// Who may use this process's descriptors when they are few. New backends, which keep theirs, are
// refused first; then the clients of backends have to wait. The API has a share that neither may
// use: it is counted, so that whoever holds the others can't keep its clients out. What remains
// is for what all of these need on the way. Any thread.
#pragma once

#include <cstddef>

namespace jamsock {

enum class DescriptorUse {
    backend,
    proxy_client,
    exchange,  // the proxy's connection to a backend: a client that was let in needs one, too
};

// How many of `limit` descriptors the use must leave free. Pure.
std::size_t left_free_by(DescriptorUse use, std::size_t limit);

// How many connections the API may have at a time under `limit` descriptors, on all its sockets
// together. Pure.
std::size_t most_api_connections(std::size_t limit);
// While it has so many of these, nobody is let in over TCP: strangers leave this user a way in, by
// the Unix socket. Pure.
std::size_t most_with_tcp_client(std::size_t limit);
// How many strangers the API has room for over TCP, that is clients of other users who have shown
// no token: a quarter of what may come there, and few. Pure.
std::size_t most_api_strangers(std::size_t limit);
// How many of them may be streams of events, which last: half, or all but as many as other callers
// ever need at a time. Pure.
std::size_t most_streams(std::size_t limit);

// How many strangers the proxy has room for, that is clients of other users who have shown no token
// yet: few beside what backends need, also together with those at the API. Pure.
std::size_t most_strangers(std::size_t limit);

std::size_t descriptor_limit();

// Whether the use has to leave free the descriptor of that number, below which all are in use.
bool must_leave_free(DescriptorUse use, std::size_t descriptor);

// Reads /proc: microseconds from Linux 6.2 on, before that as many as there are descriptors.
std::size_t open_descriptors();

// The kernel gives out the lowest free number, so everything below this one is in use; the limit,
// if none is left.
std::size_t lowest_free_descriptor();

}  // namespace jamsock
