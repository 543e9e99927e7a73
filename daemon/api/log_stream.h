// Streams of what backends write: the output that is kept, then what comes, each line one event, to
// the backend's end. The files are looked at once for all who follow a backend, and each of these
// is a position in them: one who is slow holds nothing up, and misses what is rotated away
// meanwhile. Control thread; the files are read on the helper thread.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "daemon/asio.h"
#include "daemon/backends/output_text.h"
#include "daemon/helper_thread.h"
#include "daemon/http/event_stream.h"
#include "daemon/registry/registry.h"

namespace jamsock {

class LogStreams {
  public:
    // All must outlive this.
    LogStreams(asio::io_context& loop, const Registry& registry, const BackendFiles& files,
               HelperThread& helper)
        : loop_(loop), registry_(registry), files_(files), helper_(helper) {}

    // Sends the output of a backend, live or ended. Ends with it, with the subscriber, or at
    // `stop`.
    Task<> send(const BackendId& backend, EventStream& stream);

    void stop();

  private:
    struct Feed;
    using FeedRef = std::shared_ptr<Feed>;
    class Subscriber;

    FeedRef feed_of(const BackendId& backend);
    Task<> watch(BackendId backend, std::weak_ptr<Feed> watched);
    Task<> refresh(const FeedRef& feed);

    // On the helper thread.
    Task<std::uint64_t> look(const FeedRef& feed);
    Task<OutputText::Piece> read(const FeedRef& feed, std::uint64_t position);

    asio::io_context& loop_;
    const Registry& registry_;
    const BackendFiles& files_;
    HelperThread& helper_;
    std::unordered_map<BackendId, std::weak_ptr<Feed>> feeds_;
    bool stopping_ = false;
};

}  // namespace jamsock
