#include "daemon/api/log_stream.h"

#include <boost/asio/post.hpp>

#include "common/timeouts.h"
#include "daemon/api/log_lines.h"

namespace jamsock {

namespace {

constexpr std::size_t block = 64 * 1024;
constexpr int lines_in_a_row = 16;  // then everybody else on this thread has a turn
constexpr std::string_view loss = "[jamsock: some output was rotated away before it could be sent]";

Task<> let_others_go() {
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
}

}  // namespace

// What those who follow one backend share.
struct LogStreams::Feed {
    Feed(const BackendFiles& files, const BackendId& id) : backend(id), text(files, id) {}

    const BackendId backend;
    OutputText text;  // on the helper thread
    std::uint64_t end = 0;
    bool has_ended = false;  // nothing comes after `end`
    Event changed;
};

// Where one of them is.
class LogStreams::Subscriber {
  public:
    explicit Subscriber(EventStream& stream) : stream_(stream) {}

    std::uint64_t position() const { return position_; }

    // False: the client is gone.
    Task<bool> take(const OutputText::Piece& piece, std::uint64_t known_end);
    Task<bool> finish();

  private:
    Task<bool> send(std::string_view line);
    Task<bool> tell_loss();

    EventStream& stream_;
    LogLines lines_;
    std::uint64_t position_ = 0;
    int in_a_row_ = 0;
};

Task<bool> LogStreams::Subscriber::take(const OutputText::Piece& piece, std::uint64_t known_end) {
    if (piece.bytes.empty()) {
        position_ = known_end;  // it can't be read
        co_return true;
    }
    bool is_there = true;
    if (piece.position != position_) is_there = co_await tell_loss();
    position_ = piece.position + piece.bytes.size();
    lines_.add(piece.bytes);
    while (is_there) {
        const auto line = lines_.next();
        if (!line) break;
        is_there = co_await send(*line);
    }
    co_return is_there;
}

Task<bool> LogStreams::Subscriber::finish() {
    const auto line = lines_.last();
    if (!line) co_return true;
    co_return co_await send(*line);
}

Task<bool> LogStreams::Subscriber::tell_loss() {
    lines_.break_off();
    co_return co_await send(loss);
}

Task<bool> LogStreams::Subscriber::send(std::string_view line) {
    if (++in_a_row_ == lines_in_a_row) {
        in_a_row_ = 0;
        co_await let_others_go();
    }
    co_return co_await stream_.send(line);
}

Task<> LogStreams::send(const BackendId& backend, EventStream& stream) {
    const FeedRef feed = feed_of(backend);
    Subscriber subscriber(stream);
    bool is_there = true;
    while (is_there && !stopping_) {
        const std::uint64_t end = feed->end;
        if (subscriber.position() < end) {
            const OutputText::Piece piece = co_await read(feed, subscriber.position());
            is_there = co_await subscriber.take(piece, end);
        } else if (feed->has_ended) {
            co_await subscriber.finish();
            is_there = false;
        } else {
            co_await feed->changed.wait(stream.presence());
            is_there = !stream.is_over();
        }
    }
}

void LogStreams::stop() {
    stopping_ = true;
    for (const auto& [backend, watched] : feeds_) {
        if (const FeedRef feed = watched.lock()) feed->changed.notify_all();
    }
}

LogStreams::FeedRef LogStreams::feed_of(const BackendId& backend) {
    FeedRef feed = feeds_[backend].lock();
    if (feed) return feed;
    feed = std::make_shared<Feed>(files_, backend);
    feeds_[backend] = feed;
    asio::co_spawn(loop_, watch(backend, feed), asio::detached);
    return feed;
}

// As long as somebody follows.
Task<> LogStreams::watch(BackendId backend, std::weak_ptr<Feed> watched) {
    FeedRef feed = watched.lock();
    while (feed && !stopping_) {
        co_await refresh(feed);
        feed.reset();
        co_await sleep_for(timeouts::output_look);
        feed = watched.lock();
    }
    const auto known = feeds_.find(backend);
    if (known != feeds_.end() && known->second.expired()) feeds_.erase(known);
}

// A backend that has ended before a look has written nothing since.
Task<> LogStreams::refresh(const FeedRef& feed) {
    if (feed->has_ended) co_return;
    const bool had_ended = !registry_.lives(feed->backend);
    const std::uint64_t end = co_await look(feed);
    const bool has_changed = end != feed->end || had_ended;
    feed->end = end;
    feed->has_ended = had_ended;
    if (has_changed) feed->changed.notify_all();
}

Task<std::uint64_t> LogStreams::look(const FeedRef& feed) {
    return helper_.run([feed] { return feed->text.look(); });
}

Task<OutputText::Piece> LogStreams::read(const FeedRef& feed, std::uint64_t position) {
    return helper_.run([feed, position] { return feed->text.read(position, block); });
}

}  // namespace jamsock
