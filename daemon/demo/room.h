// The document, and the windows that look at it. Each looker is told what it has not seen yet, from
// the document's own memory: there is no queue for each, so a slow one costs nothing. Any thread.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/unique_fd.h"
#include "daemon/demo/document.h"
#include "daemon/demo/wire.h"

namespace jamsock::demo {

class Room {
  public:
    // A looker's place: it looks as long as this lives. Used by one thread; ends before the room.
    class Seat {
      public:
        Seat(Room& room, std::string id, std::string name);
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;
        ~Seat();

        // Readable when there may be something unseen. An eventfd.
        int news() const { return news_.get(); }
        // The events it has not seen; empty: none. Nothing: the same window has looked anew
        // since, and this seat is to be left.
        std::optional<std::string> unseen();

      private:
        friend class Room;

        Room& room_;
        Looker looker_;
        UniqueFd news_;
        bool is_replaced_ = false;
        bool has_seen_state_ = false;
        std::uint64_t seen_version_ = 0;
        std::uint64_t seen_lookers_ = 0;
    };

    explicit Room(std::size_t places) : places_(places) {}

    // Null if all places are taken. A seat of the same id is replaced.
    std::unique_ptr<Seat> enter(std::string id, std::string name);

    Document::Outcome edit(PostedEdit posted);

    std::size_t lookers() const;
    std::size_t places() const { return places_; }
    std::chrono::seconds uptime() const;

  private:
    void leave(Seat& seat);
    void replace(const std::string& id);
    int free_colour() const;
    void lookers_changed();
    void wake_all();
    std::string unseen_text(Seat& seat) const;
    std::string unseen_lookers(Seat& seat) const;

    const std::size_t places_;
    const BootClock::time_point started_ = BootClock::now();
    mutable std::mutex mutex_;  // guards all below, and the seats' members
    Document document_;
    std::vector<Seat*> seats_;
    std::uint64_t lookers_version_ = 0;
};

}  // namespace jamsock::demo
