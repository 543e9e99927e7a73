// An upgraded connection: bytes go both ways as they come, none is looked at. Each side may end its
// sending alone; when both have, or one has closed, it is over. Small, since thousands of them
// idle. On its loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "daemon/proxy/activity.h"
#include "daemon/proxy/pass.h"
#include "daemon/proxy/proxy_loop.h"
#include "daemon/proxy/stream.h"

namespace jamsock {

class Tunnel final : public Served, public Alarm {
  public:
    // Both streams are watched by the loop already.
    Tunnel(ProxyLoop& loop, Counted connection, Stream client, Stream backend, Admission admission,
           const Pass& pass);

    void cut() override;
    bool uses_revoked(std::uint64_t serial) override;
    void on_due() override;

  private:
    struct End final : Watcher {
        End(Tunnel& owner, Stream of) : tunnel(owner), stream(std::move(of)) {}
        void on_ready(std::uint32_t events) override;

        Tunnel& tunnel;
        Stream stream;
        bool has_ended = false;  // it sent its last byte
        bool is_shut = false;    // nothing more goes to it
    };

    void advance();
    bool pump(End& from, End& to);
    void pass_end_on(End& to);

    ProxyLoop& loop_;
    Counted connection_;
    End client_;
    End backend_;
    Admission admission_;
    std::shared_ptr<RouteEntry> entry_;
    ConnectionToken token_;
    std::optional<std::string> user_;
};

}  // namespace jamsock
