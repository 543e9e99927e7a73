// The clients of one proxy thread that have shown no connection token yet, in the order in which
// they came (admission.h): other users' have no more than places of their own, and the newest
// always gets in. On its loop's thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>

#include "daemon/proxy/event_loop.h"

namespace jamsock {

class TcpInquiry;

class Stranger : public Hook<class StrangerTag> {
  public:
    // Whoever calls it is about to need its place.
    virtual void put_out() = 0;
    // It is this user's own, who needs no such place. It has left already.
    virtual void is_own() = 0;
    virtual int socket() const = 0;

  protected:
    virtual ~Stranger() = default;

  private:
    friend class Strangers;
    bool was_asked_ = false;
    std::optional<uid_t> user_;  // nothing also where it can't be told
};

class Strangers {
  public:
    // `inquiry` outlives it.
    Strangers(TcpInquiry& inquiry, std::size_t places, uid_t own_user)
        : inquiry_(inquiry), places_(places), own_user_(own_user) {}

    // May put another one out, or let this one, or others, leave as this user's own.
    void enter(Stranger& newcomer);
    // Idempotent; also for who never entered.
    void leave(Stranger& stranger);

    std::size_t count() const { return count_; }

  private:
    void ask_newest();
    void put_one_out();

    TcpInquiry& inquiry_;
    std::size_t places_;
    uid_t own_user_;
    std::size_t count_ = 0;
    HookList<Stranger, StrangerTag> row_;
};

}  // namespace jamsock
