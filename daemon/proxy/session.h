// One client connection to the proxy: its requests one after the other, each of them let in by its
// token, held until its backend is ready, and forwarded on a connection that the backend's pool
// gives. Bodies go both ways at once, as they come; whoever is slow slows the other side
// down. A request that is upgraded ends the session: a tunnel goes on in its place. Everything that
// happens to either connection calls `advance`, which goes as far as it can. On its loop's thread.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/proxy/body_flow.h"
#include "daemon/proxy/header_rules.h"
#include "daemon/proxy/pass.h"
#include "daemon/proxy/proxy_loop.h"
#include "daemon/proxy/refusals.h"
#include "daemon/proxy/stream.h"

namespace jamsock {

class Session final : public Served, public Watcher, public Alarm, public Held, public Stranger {
  public:
    // `address`: the client's.
    static std::unique_ptr<Session> accepted(ProxyLoop& loop, UniqueFd client,
                                             const sockaddr_storage& address);
    Session(ProxyLoop& loop, UniqueFd client, std::string client_address);
    ~Session() override;

    void cut() override;
    bool uses_revoked(std::uint64_t serial) override;

    void on_ready(std::uint32_t events) override;
    void on_due() override;
    void on_route_change() override { advance(); }
    void put_out() override { cut(); }
    void is_own() override { connection_.emplace(loop_.counts().connections); }
    int socket() const override { return client_.fd(); }

  private:
    enum class State {
        head,        // of the next request
        looking_up,  // who its token is for
        held,        // until its backend is ready
        exchange,    // with its backend
        closing,     // what is pending goes out, then the connection ends
        over,
    };
    struct Exchange;
    struct Lookup;

    void advance();
    bool step();  // false: nothing more can be done now

    void await_head();
    bool take_head();
    void take_request(std::string_view text, std::string_view rest);
    std::optional<Refusal> let_in(const RequestHead& head,
                                  const std::optional<SplitTarget>& target);
    std::optional<Refusal> present(std::string_view text);
    std::shared_ptr<RouteEntry> entry_of(const std::optional<ConnectionToken>& token) const;
    bool take_place();
    bool turn_away_early(std::string_view text);
    std::optional<Refusal> admit(std::string_view text, const ConnectionToken& token,
                                 std::shared_ptr<RouteEntry> entry, Identity identity);
    void look_up(std::string_view text, const ConnectionToken& token,
                 std::shared_ptr<RouteEntry> entry);
    void open_exchange(const RequestHead& head, const std::optional<SplitTarget>& target);

    bool wait_until_ready();
    bool hold();
    bool forward();
    std::optional<Refusal> connect();

    bool pump();
    bool pump_request();
    bool upload(std::string_view text);
    bool pump_response();
    bool take_response(std::string_view text);
    bool pass_interim(std::string_view rest);
    bool relay_response(std::string_view rest);
    bool relay_body(std::string_view head, std::string_view text);
    bool backend_ended(Stream::Got how);
    bool become_tunnel(std::string_view rest);
    bool finish_exchange();
    void give_backend_back();
    void end_exchange();

    // The proxy's own answer, after which the connection goes on if it can; where an answer has
    // begun already it is broken off.
    bool turn_away(const Refusal& refusal);
    enum class Ending {
        linger,     // the client gets to read the last answer (RFC 9112, 9.6)
        break_off,  // … sees that it was cut short
        reset,      // … where an end would pass for that of the body
    };
    bool is_open_ended() const;
    bool close(Ending ending);
    bool finish_closing();
    bool linger_on();
    void look_for_client();
    bool client_is_gone() const;

    ProxyLoop& loop_;
    Stream client_;
    Inflow inflow_;
    std::optional<Counted> connection_;  // nothing: it is a stranger's
    std::optional<Counted> held_;
    State state_ = State::head;
    Ending ending_ = Ending::linger;
    std::optional<std::chrono::steady_clock::time_point> lingers_until_;
    bool has_shown_token_ = false;  // ever, that was good
    bool head_has_begun_ = false;
    std::size_t seen_ = 0;  // of a head that is not whole yet
    std::string client_address_;
    std::optional<Pass> pass_;
    std::shared_ptr<Lookup> lookup_;
    std::string backend_head_;  // of the request in hand
    std::unique_ptr<Exchange> exchange_;
};

}  // namespace jamsock
