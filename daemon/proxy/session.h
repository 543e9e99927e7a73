// One client connection to the proxy: its requests one after the other, each of them let in by its
// token, held until its backend is ready, and forwarded on a connection of its own. Bodies stream
// both ways at once, each through one small buffer: what comes goes on at once, and whoever is slow
// slows the other side down. Lives on its loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "daemon/http/body.h"
#include "daemon/proxy/header_rules.h"
#include "daemon/proxy/proxy_loop.h"
#include "daemon/proxy/refusals.h"

namespace jamsock {

class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(ProxyLoop& loop, std::shared_ptr<Connection> client);
    ~Session();

    Task<> run();
    // Ends the session now, wherever it is.
    void cut();
    // … if it uses a revoked token of that backend.
    void cut_if_revoked(std::uint64_t serial);

  private:
    // A token that was let in. It stays so for this connection, also past its expiry.
    struct Pass {
        std::string token;
        std::string secret;
        std::shared_ptr<RouteEntry> entry;
        Identity identity;
    };
    struct Exchange;

    Task<bool> serve_next();
    Task<std::optional<Refusal>> let_in(const RequestHead& head, const SplitTarget& target);
    Task<std::optional<Refusal>> present(std::string_view text);
    bool is_revoked() const;
    Exchange open_exchange(const RequestHead& head, const SplitTarget& target);
    Task<std::optional<Refusal>> wait_until_ready();
    Task<bool> turn_away(const Exchange& exchange, const Refusal& refusal);

    Task<bool> forward(std::shared_ptr<Exchange> exchange);
    Task<std::optional<Refusal>> connect(Exchange& exchange);
    Task<> send_request(std::shared_ptr<Exchange> exchange);
    Task<> upload(std::shared_ptr<Exchange> exchange);
    Task<> upload_rest(Exchange& exchange);
    Task<bool> answer(Exchange& exchange);
    Task<HeadResult<ResponseHead>> read_response_head(Connection& backend);
    Task<bool> relay_response(Exchange& exchange, const ResponseHead& head);
    Task<bool> relay_body(Exchange& exchange, BodyReader body, Framing framing, std::string head);
    Task<> close_exchange(Exchange& exchange);

    // While nothing is read from the client, somebody must: else a client that leaves is noticed
    // only when its backend has something to say.
    void watch_client();
    Task<> end_watch();
    void lose_client();

    ProxyLoop& loop_;
    std::shared_ptr<Connection> client_;
    std::string client_address_;
    std::optional<Pass> pass_;
    std::shared_ptr<Exchange> exchange_;  // the one being forwarded
    bool client_is_gone_ = false;
    bool wants_watch_ = false;
    bool is_watching_ = false;
    Event watch_ended_;
};

}  // namespace jamsock
