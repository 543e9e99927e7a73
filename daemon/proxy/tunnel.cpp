#include "daemon/proxy/tunnel.h"

#include <utility>

#include "common/timeouts.h"
#include "daemon/proxy/peer.h"

namespace jamsock {

namespace {

constexpr int rounds_per_turn = 8;

}  // namespace

void Tunnel::End::on_ready(std::uint32_t events) {
    if (!stream.is_open()) return;
    stream.note(events);
    tunnel.advance();
}

Tunnel::Tunnel(ProxyLoop& loop, Counted connection, Stream client, Stream backend,
               Admission admission, const Pass& pass)
    : loop_(loop),
      connection_(std::move(connection)),
      client_(*this, std::move(client)),
      backend_(*this, std::move(backend)),
      admission_(std::move(admission)),
      entry_(pass.entry),
      token_(pass.token),
      user_(pass.identity.user) {
    for (End* end : {&client_, &backend_})
        end->stream.hand_over(*end);
}

void Tunnel::cut() {
    client_.stream.close();
    backend_.stream.close();
    loop_.end(*this);
}

bool Tunnel::uses_revoked(std::uint64_t serial) {
    return entry_->route->serial == serial && entry_->route->revokes(token_, user_);
}

void Tunnel::advance() {
    int rounds = 0;
    bool goes_on = true;
    while (goes_on && rounds++ < rounds_per_turn) {
        goes_on = pump(client_, backend_);
        goes_on |= pump(backend_, client_);
    }
    if (client_.is_shut && backend_.is_shut) return cut();
    if (goes_on) loop_.events().again(client_);
}

// True: there may be more.
bool Tunnel::pump(End& from, End& to) {
    if (to.is_shut || to.stream.has_pending()) return false;
    const std::span<char> scratch = loop_.events().scratch();
    const Stream::Read read =
        from.has_ended ? Stream::Read{Stream::Got::end} : from.stream.read(scratch);
    switch (read.got) {
        case Stream::Got::nothing:
            return false;
        case Stream::Got::data:
            // What can't be sent is dropped; the other direction may still have a last word.
            to.is_shut = !to.stream.write(std::string_view(scratch.data(), read.size));
            return true;
        case Stream::Got::broken:
            // An end would pass for that of what was sent.
            to.stream.reset();
            from.is_shut = to.is_shut = true;
            return false;
        case Stream::Got::end:
            from.has_ended = true;
            pass_end_on(to);
    }
    return false;
}

void Tunnel::pass_end_on(End& to) {
    to.is_shut = true;
    to.stream.shut_down_sending();
    loop_.events().set(*this, timeouts::peer_look);
}

// Who only ended its sending may still listen; who closed does not.
void Tunnel::on_due() {
    for (const End* end : {&client_, &backend_}) {
        if (end->has_ended && peer_state(end->stream.fd()) != PeerState::open) return cut();
    }
    loop_.events().set(*this, timeouts::peer_look);
}

}  // namespace jamsock
