#include "daemon/proxy/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/clock.h"
#include "common/timeouts.h"
#include "daemon/log.h"
#include "daemon/proxy/peer.h"
#include "daemon/proxy/tunnel.h"

namespace jamsock {

namespace {

constexpr int steps_per_turn = 32;
constexpr std::size_t usual_head = 4096;
constexpr std::size_t longest_kept_of_strangers = 2048;

std::string text_of(const sockaddr_storage& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
    if (address.ss_family == AF_INET6) {
        bytes = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    }
    ::inet_ntop(address.ss_family, bytes, text.data(), text.size());
    return text.data();
}

Refusal gone() {
    return refusal(ErrorCode::backend_gone,
                   "This URL is unknown or has expired, or what it led to has ended.");
}

Refusal no_token() {
    return refusal(ErrorCode::invalid_request, "The path does not begin with a token.");
}

Refusal too_many() {
    return refusal(ErrorCode::usage_limit, "The daemon serves as many connections as it may.");
}

Refusal bad_gateway(std::string sentence) {
    return refusal(ErrorCode::backend_unreachable, std::move(sentence));
}

// RFC 9110, 9.2.2: to do it twice is to do it once.
bool is_idempotent(std::string_view method) {
    constexpr std::array<std::string_view, 6> methods{"GET", "HEAD",   "OPTIONS",
                                                      "PUT", "DELETE", "TRACE"};
    return std::ranges::find(methods, method) != methods.end();
}

std::string why_unreachable(const BackendConnection& backend, int error) {
    if (error == ECONNREFUSED) return "The backend does not accept connections.";
    if (error == EACCES) return "Another user's program has the backend's port.";
    if (error == ETIMEDOUT && !backend.is_connected()) {
        return "The backend did not accept the connection in time.";
    }
    return "The backend broke off before its answer.";
}

}  // namespace

// One request and its response.
struct Session::Exchange {
    Asker asker;  // keep_alive: the connection can serve another request
    bool client_is_http_1_0 = false;
    bool wants_upgrade = false;
    bool is_repeatable = false;  // no body, no answer yet, and it may reach the backend twice
    bool head_was_sent = false;
    bool upload_is_over = false;
    bool response_has_begun = false;
    bool backend_keeps_alive = false;
    Framing framing = Framing::none;
    BodyFlow request_body;
    BodyFlow response_body;

    std::shared_ptr<const Route> route;
    std::optional<Admission> admission;
    std::unique_ptr<BackendConnection> backend;
};

// The question whose token an identity has; outlives its session.
struct Session::Lookup {
    Session* session;
    std::string text;  // of the token
    ConnectionToken token;
    std::shared_ptr<RouteEntry> entry;
    std::optional<Refusal> refused;
};

std::unique_ptr<Session> Session::accepted(ProxyLoop& loop, UniqueFd client,
                                           const sockaddr_storage& address) {
    return std::make_unique<Session>(loop, std::move(client), text_of(address));
}

Session::Session(ProxyLoop& loop, UniqueFd client, std::string client_address)
    : loop_(loop), client_(std::move(client)), client_address_(std::move(client_address)) {
    client_.watch(loop_.events(), *this);
    await_head();
    if (loop_.counts().connections >= loop_.limits().max_connections) turn_away(too_many());
    loop_.strangers().enter(*this);
}

Session::~Session() {
    loop_.strangers().leave(*this);
    if (lookup_) lookup_->session = nullptr;
    if (exchange_) end_exchange();
}

void Session::cut() {
    if (is_open_ended() || ending_ == Ending::reset) client_.reset();
    if (exchange_) end_exchange();
    client_.close();
    loop_.strangers().leave(*this);
    state_ = State::over;
    loop_.end(*this);
}

bool Session::uses_revoked(std::uint64_t serial) {
    return pass_ && pass_->entry->route->serial == serial && pass_->is_revoked();
}

void Session::on_ready(std::uint32_t events) {
    if (!client_.is_open()) return;
    client_.note(events);
    advance();
}

void Session::advance() {
    int steps = 0;
    bool goes_on = true;
    while (goes_on && steps++ < steps_per_turn) {
        goes_on = step();
    }
    if (goes_on) loop_.events().again(*this);
    look_for_client();
}

bool Session::step() {
    switch (state_) {
        case State::head:
            return take_head();
        case State::held:
            return wait_until_ready();
        case State::exchange:
            return pump();
        case State::closing:
            return finish_closing();
        case State::looking_up:
        case State::over:
            return false;
    }
    return false;
}

void Session::on_due() {
    switch (state_) {
        case State::head:
            if (head_has_begun_) {
                turn_away(refusal(HeadFault{408, "The head did not come in time."}));
            } else {
                cut();
            }
            break;
        case State::looking_up:
            lookup_->refused =
                refusal(ErrorCode::shutting_down, "The daemon is too busy to look the URL up.");
            state_ = State::head;
            break;
        case State::held:
        case State::exchange:
            if (client_is_gone()) cut();
            break;
        case State::closing:
        case State::over:
            cut();
    }
    advance();
}

// A client that has ended its sending may wait for its answer, or be gone: then a backend that has
// nothing to say would never learn of it. While the backend takes no more of an upload, not even
// the client's end comes through.
void Session::look_for_client() {
    const bool waits =
        state_ == State::held || (state_ == State::exchange && exchange_->upload_is_over);
    const bool is_stuck = state_ == State::exchange && exchange_->backend->stream().has_pending();
    if (!is_stuck && !(waits && client_.peer_has_ended())) return;
    if (client_.is_hung_up()) return cut();
    if (!is_set()) loop_.events().set(*this, timeouts::peer_look);
}

bool Session::client_is_gone() const {
    const PeerState peer = peer_state(client_.fd());
    return peer == PeerState::gone || (peer == PeerState::unknown && client_.peer_has_ended());
}

void Session::await_head() {
    state_ = State::head;
    head_has_begun_ = false;
    seen_ = 0;
    loop_.events().set(*this, has_shown_token_ ? timeouts::keep_alive : loop_.limits().slow_head);
}

// Who does not read its answers gets no more of them.
bool Session::take_head() {
    if (client_.has_pending()) return false;
    const Inflow::Incoming in = inflow_.next(client_, loop_.events().scratch());
    if (in.got == Stream::Got::nothing) return false;
    if (in.got != Stream::Got::data) return close(Ending::linger);
    if (loop_.events().has_posted()) {
        inflow_.keep(in.text, false);
        loop_.events().again(*this);
        return false;
    }
    std::string_view text = in.text;
    // An empty line before a request line is an old client's slip, to be skipped (RFC 9112, 2.2).
    while (seen_ == 0 && text.starts_with("\r\n"))
        text.remove_prefix(2);
    if (const auto size = head_size(text, seen_)) {
        take_request(text.substr(0, *size), text.substr(*size));
        return true;
    }
    if (text.size() > longest_head)
        return turn_away(refusal(HeadFault{431, "The head is too long."}));
    if (!has_shown_token_ && text.size() > longest_kept_of_strangers && turn_away_early(text)) {
        return true;
    }
    seen_ = text.size() > 1 ? text.size() : 0;
    inflow_.keep(text, true);
    if (!text.empty() && !std::exchange(head_has_begun_, true) && has_shown_token_) {
        loop_.events().set(*this, loop_.limits().slow_head);
    }
    return true;
}

// `rest`: what follows the head.
void Session::take_request(std::string_view text, std::string_view rest) {
    RequestHead& head = loop_.request_head;
    seen_ = 0;
    if (const auto fault = parse_request_head(text, head)) {
        turn_away(refusal(*fault));
        return;
    }
    const auto target = split_target(head.target);
    const std::optional<Refusal> refused = let_in(head, target);
    if (state_ == State::looking_up) {
        inflow_.keep({text.data(), text.size() + rest.size()}, false);
        return;
    }
    open_exchange(head, target);
    inflow_.keep(rest, false);  // the head's views end here
    if (refused) {
        turn_away(*refused);
        return;
    }
    clear();
    state_ = State::held;
}

std::optional<Refusal> Session::let_in(const RequestHead& head,
                                       const std::optional<SplitTarget>& target) {
    if (!target) {
        return no_token();
    }
    if (!is_own_host(head.host, loop_.limits().hosts)) {
        return refusal(ErrorCode::forbidden, not_own_host);
    }
    if (head.method == "TRACE") {
        return refusal(
            ErrorCode::unsupported,
            "TRACE is not passed on: its answer would show what only the backend may see.");
    }
    if (auto refused = present(target->token)) return refused;
    const bool is_foreign =
        head.wants_upgrade && !head.origin.empty() && !is_own_origin(head.origin, head.host);
    if (is_foreign && pass_ && pass_->entry->route->refuses_foreign_origins) {
        return refusal(ErrorCode::forbidden,
                       "The service takes upgraded connections from its own pages only.");
    }
    return std::nullopt;
}

std::optional<Refusal> Session::present(std::string_view text) {
    if (pass_ && pass_->text == text) {
        return pass_->is_revoked() ? std::optional(gone()) : std::nullopt;
    }
    pass_.reset();
    if (lookup_ && lookup_->text == text) return std::exchange(lookup_, nullptr)->refused;
    const auto token = ConnectionToken::decode(text);
    const auto entry = entry_of(token);
    if (!entry) return gone();
    if (!take_place()) return too_many();
    if (!token->has_identity()) return admit(text, *token, entry, {});
    look_up(text, *token, entry);
    return std::nullopt;
}

// Nothing if the token is none, or no longer good.
std::shared_ptr<RouteEntry> Session::entry_of(const std::optional<ConnectionToken>& token) const {
    auto entry = token ? loop_.find(token->serial()) : nullptr;
    if (!entry || !token->is_genuine(entry->route->key) ||
        token->is_expired(wall_milliseconds() / 1000)) {
        return nullptr;
    }
    return entry;
}

// From the first good token on its connection is counted, and no stranger's. False: there are too
// many.
bool Session::take_place() {
    if (std::exchange(has_shown_token_, true)) return true;
    loop_.strangers().leave(*this);
    if (connection_) return true;
    connection_.emplace(loop_.counts().connections);
    return loop_.counts().connections <= loop_.limits().max_connections;
}

// Of a stranger's head that goes on and on only the beginning is looked at: whoever shows no good
// token there is answered before the end.
bool Session::turn_away_early(std::string_view text) {
    const auto token = token_in_beginning(text);
    if (!token) return turn_away(no_token());
    if (!entry_of(ConnectionToken::decode(*token))) return turn_away(gone());
    return !take_place() && turn_away(too_many());
}

std::optional<Refusal> Session::admit(std::string_view text, const ConnectionToken& token,
                                      std::shared_ptr<RouteEntry> entry, Identity identity) {
    std::string secret = secret_token(entry->route->key, token);
    pass_ =
        Pass{std::string(text), token, std::move(secret), std::move(entry), std::move(identity)};
    if (!pass_->is_revoked()) return std::nullopt;
    pass_.reset();
    return gone();
}

// The head is read again when the answer has come.
void Session::look_up(std::string_view text, const ConnectionToken& token,
                      std::shared_ptr<RouteEntry> entry) {
    state_ = State::looking_up;
    loop_.events().set(*this, timeouts::identity_answer);
    lookup_ = std::make_shared<Lookup>(this, std::string(text), token, std::move(entry));
    loop_.look_up(token.hash(), [lookup = lookup_](std::optional<Identity> identity) {
        Session* const session = lookup->session;
        if (!session || session->lookup_ != lookup || session->state_ != State::looking_up) return;
        lookup->refused = identity ? session->admit(lookup->text, lookup->token, lookup->entry,
                                                    std::move(*identity))
                                   : gone();
        if (session->pass_) session->lookup_.reset();
        session->state_ = State::head;
        session->advance();
    });
}

// Also for a request that was refused, whose body must be known all the same.
void Session::open_exchange(const RequestHead& head, const std::optional<SplitTarget>& target) {
    loop_.count_request();
    exchange_ = std::make_unique<Exchange>();
    exchange_->asker = {.answers_head = head.method == "HEAD",
                        .prefers_json = prefers_json(head),
                        .keep_alive = head.keep_alive};
    exchange_->client_is_http_1_0 = head.is_http_1_0;
    exchange_->wants_upgrade = head.wants_upgrade;
    exchange_->is_repeatable = !head.has_body() && is_idempotent(head.method);
    exchange_->request_body = BodyFlow(head);
    if (!pass_ || !target) return;
    backend_head_.clear();
    append_backend_request_head(backend_head_, head, target->rest,
                                {.user = pass_->identity.user,
                                 .auth = pass_->identity.auth,
                                 .path = target->path,
                                 .backend_id = pass_->entry->route->id.str(),
                                 .secret = pass_->secret,
                                 .client_address = client_address_});
}

bool Session::wait_until_ready() {
    const Route& route = *pass_->entry->route;
    if (pass_->is_revoked()) return turn_away(gone());
    switch (route.state) {
        case Route::State::pending:
            return hold();
        case Route::State::ready:
            return forward();
        case Route::State::ending:
            break;
    }
    if (!route.startup_limit_passed) return turn_away(gone());
    return turn_away(refusal(ErrorCode::backend_not_ready,
                             "The backend did not become ready within its startup limit."));
}

bool Session::hold() {
    if (Hook<HeldTag>::is_linked()) return false;
    if (!held_) held_.emplace(loop_.counts().held_requests);
    if (loop_.counts().held_requests > loop_.limits().max_held_requests) {
        return turn_away(
            refusal(ErrorCode::usage_limit,
                    "As many requests as may wait for backends to start do so already."));
    }
    pass_->entry->held.push_back(*this);
    return false;
}

bool Session::forward() {
    held_.reset();
    exchange_->route = pass_->entry->route;
    exchange_->admission = Admission::enter(exchange_->route->activity);
    if (!exchange_->admission) return turn_away(gone());
    if (const auto refused = connect()) return turn_away(*refused);
    state_ = State::exchange;
    return true;
}

// A connection that waited may be closed by the backend at this moment. Only what can be repeated
// then goes out without a look.
std::optional<Refusal> Session::connect() {
    exchange_->backend = pass_->entry->pool.take(!exchange_->is_repeatable);
    if (exchange_->backend) {
        exchange_->backend->serve(*this);
    } else {
        exchange_->backend = loop_.connect(*pass_->entry, *this);
    }
    if (exchange_->backend) return std::nullopt;
    return refusal(ErrorCode::usage_limit,
                   "The daemon has too few descriptors left for another request.");
}

bool Session::pump() {
    const bool has_sent = pump_request();
    if (state_ != State::exchange) return true;
    return pump_response() || has_sent;
}

bool Session::pump_request() {
    if (exchange_->upload_is_over || exchange_->backend->stream().has_pending()) return false;
    if (!exchange_->head_was_sent) return upload(inflow_.kept());
    const Inflow::Incoming in = inflow_.next(client_, loop_.events().scratch());
    if (in.got == Stream::Got::nothing) return false;
    if (in.got == Stream::Got::data) return upload(in.text);
    cut();
    return false;
}

// The head first, and of the body what has come with it. A backend that takes no more may have
// answered already, so a failed write is no end.
bool Session::upload(std::string_view text) {
    Exchange& x = *exchange_;
    BodyFlow::Pieces& pieces = loop_.pieces;
    pieces.clear();
    if (!x.head_was_sent) pieces.push_back(backend_head_);
    const BodyFlow::Step step = x.request_body.take(text, pieces);
    if (step.is_malformed) {
        return turn_away(
            refusal(ErrorCode::invalid_request, "The request's body has broken chunks."));
    }
    x.head_was_sent = true;
    const bool is_whole = x.request_body.is_done();
    x.upload_is_over = !x.backend->stream().write(pieces) || is_whole;
    inflow_.keep(text.substr(step.consumed), !is_whole && step.consumed == 0);
    return true;
}

bool Session::pump_response() {
    Exchange& x = *exchange_;
    if (client_.has_pending()) return false;
    if (x.response_has_begun && x.response_body.is_done()) return finish_exchange();
    const Inflow::Incoming in =
        x.backend->inflow().next(x.backend->stream(), loop_.events().scratch());
    switch (in.got) {
        case Stream::Got::nothing:
            return false;
        case Stream::Got::data:
            return x.response_has_begun ? relay_body({}, in.text) : take_response(in.text);
        case Stream::Got::end:
        case Stream::Got::broken:
            return backend_ended(in.got);
    }
    return false;
}

bool Session::take_response(std::string_view text) {
    const auto size = head_size(text);
    if (!size && text.size() > longest_head) {
        return turn_away(bad_gateway("The head of the backend's answer is too long."));
    }
    if (!size) {
        exchange_->backend->inflow().keep(text, true);
        return true;
    }
    if (const auto fault = parse_response_head(text.substr(0, *size), loop_.response_head)) {
        return turn_away(bad_gateway("The backend's answer can't be read. " + fault->sentence));
    }
    const std::string_view rest = text.substr(*size);
    if (loop_.response_head.status == 101) return become_tunnel(rest);
    return loop_.response_head.status < 200 ? pass_interim(rest) : relay_response(rest);
}

// An interim response passes on to who knows such, and the final one is still to come (RFC 9110,
// 15.2).
bool Session::pass_interim(std::string_view rest) {
    Exchange& x = *exchange_;
    x.is_repeatable = false;
    loop_.text.clear();
    if (!x.client_is_http_1_0) {
        append_client_response_head(loop_.text, loop_.response_head, Framing::none, true,
                                    x.route->id.str());
    }
    const bool was_sent = loop_.text.empty() || client_.write(loop_.text);
    x.backend->inflow().keep(rest, false);
    if (!was_sent) cut();
    return was_sent;
}

bool Session::relay_response(std::string_view rest) {
    Exchange& x = *exchange_;
    const ResponseHead& head = loop_.response_head;
    loop_.text.clear();
    x.framing = framing_of(head, x.asker.answers_head, x.client_is_http_1_0);
    // What of the request is still to come would be taken for the next one.
    x.asker.keep_alive = x.asker.keep_alive && x.framing != Framing::until_close &&
                         x.request_body.is_done() && !loop_.is_stopping();
    x.response_body = BodyFlow(head, x.framing);
    x.backend_keeps_alive = head.keep_alive && !announces_what_must_not_come(head);
    x.response_has_begun = true;
    append_client_response_head(loop_.text, head, x.framing, x.asker.keep_alive, x.route->id.str());
    return relay_body(loop_.text, rest);
}

bool Session::relay_body(std::string_view head, std::string_view text) {
    Exchange& x = *exchange_;
    BodyFlow::Pieces& pieces = loop_.pieces;
    pieces.clear();
    if (!head.empty()) pieces.push_back(head);
    const BodyFlow::Step step = x.response_body.take(text, pieces);
    if (!client_.write(pieces)) {
        cut();
        return false;
    }
    if (step.is_malformed) return close(Ending::break_off);
    const bool needs_more = !x.response_body.is_done() && step.consumed == 0;
    x.backend->inflow().keep(text.substr(step.consumed), needs_more);
    return true;
}

bool Session::backend_ended(Stream::Got how) {
    Exchange& x = *exchange_;
    if (x.response_has_begun) {
        if (how == Stream::Got::broken || !x.response_body.lasts_until_close()) {
            return close(Ending::break_off);
        }
        BodyFlow::Pieces& pieces = loop_.pieces;
        pieces.clear();
        x.response_body.end(pieces);
        x.backend_keeps_alive = false;
        if (client_.write(pieces)) return true;
        cut();
        return false;
    }
    const bool heard_nothing = x.backend->inflow().kept().empty();
    if (x.backend->was_used() && x.is_repeatable && heard_nothing) {
        if (x.route->activity->is_closed()) return turn_away(gone());
        BackendConnection::end(loop_.events(), std::move(x.backend));
        x.head_was_sent = x.upload_is_over = false;
        const auto refused = connect();
        return refused ? turn_away(*refused) : true;
    }
    const int error = x.backend->stream().error();
    const bool got_nothing = error == ECONNREFUSED || error == EACCES;
    if (got_nothing && x.route->activity->is_closed()) return turn_away(gone());
    return turn_away(bad_gateway(why_unreachable(*x.backend, error)));
}

// What comes from either side from now on is no HTTP of ours.
bool Session::become_tunnel(std::string_view rest) {
    Exchange& x = *exchange_;
    if (!x.wants_upgrade || !x.request_body.is_done()) {
        return turn_away(bad_gateway("The backend upgraded what none asked for."));
    }
    Stream& backend = x.backend->stream();
    loop_.text.clear();
    append_client_response_head(loop_.text, loop_.response_head, Framing::none, true,
                                x.route->id.str());
    const std::array pieces{std::string_view(loop_.text), rest};
    if (!client_.write(pieces) || !backend.write(inflow_.kept())) {
        cut();
        return false;
    }
    loop_.serve(std::make_unique<Tunnel>(loop_, std::move(*connection_), std::move(client_),
                                         std::move(backend), std::move(*x.admission), *pass_));
    cut();
    return false;
}

bool Session::finish_exchange() {
    const bool goes_on = exchange_->asker.keep_alive && !loop_.is_stopping();
    give_backend_back();
    end_exchange();
    if (!goes_on) return close(Ending::linger);
    await_head();
    return true;
}

void Session::give_backend_back() {
    Exchange& x = *exchange_;
    const Stream& stream = x.backend->stream();
    const bool is_clean = x.request_body.is_done() && !stream.has_pending() &&
                          !stream.is_broken() && !stream.peer_has_ended() &&
                          !stream.may_have_input() && x.backend->inflow().kept().empty();
    if (!is_clean || !x.backend_keeps_alive || pass_->entry->route != x.route) return;
    pass_->entry->pool.put(std::move(x.backend));
}

void Session::end_exchange() {
    BackendConnection::end(loop_.events(), std::move(exchange_->backend));
    held_.reset();
    Hook<HeldTag>::unlink();
    exchange_.reset();
    if (backend_head_.capacity() > usual_head) std::string().swap(backend_head_);
}

bool Session::turn_away(const Refusal& refusal) {
    if (exchange_ && exchange_->response_has_begun) return close(Ending::break_off);
    Asker asker = exchange_ ? exchange_->asker : Asker{};
    asker.keep_alive = asker.keep_alive && !ends_connection(refusal) &&
                       exchange_->request_body.is_done() && !loop_.is_stopping();
    const OwnResponse response = response_to(refusal, asker);
    if (exchange_ && pass_ && refusal.status > 501 &&
        log::takes_refusal(fmt::format("{} of the proxy", refusal.status),
                           log::most_refusals_of_users)) {
        log::info("backend {}: request {} failed: {}", pass_->entry->route->id.str(),
                  response.request_id, refusal.sentence);
    }
    client_.write(response.bytes);
    if (exchange_) end_exchange();
    if (!asker.keep_alive) return close(Ending::linger);
    await_head();
    return true;
}

// The end of the connection would pass for that of the body.
bool Session::is_open_ended() const {
    return exchange_ && exchange_->framing == Framing::until_close;
}

bool Session::close(Ending ending) {
    ending_ = ending == Ending::break_off && is_open_ended() ? Ending::reset : ending;
    inflow_.keep({}, false);
    if (exchange_) end_exchange();
    state_ = State::closing;
    loop_.events().set(*this, timeouts::response_write);
    return true;
}

bool Session::finish_closing() {
    if (client_.has_pending()) return false;
    if (ending_ == Ending::linger && !client_.is_broken()) {
        if (!lingers_until_) {
            client_.shut_down_sending();
            lingers_until_ = loop_.events().now() + timeouts::longest_linger;
            loop_.events().set(*this, timeouts::linger);
        }
        const Stream::Got got = client_.read(loop_.events().scratch()).got;
        if (got == Stream::Got::data) return linger_on();
        if (got == Stream::Got::nothing) return false;
    }
    cut();
    return false;
}

// Many a client looks for the answer only when it has sent all.
bool Session::linger_on() {
    if (loop_.events().now() < *lingers_until_) loop_.events().set(*this, timeouts::linger);
    return true;
}

}  // namespace jamsock
