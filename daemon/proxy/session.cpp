#include "daemon/proxy/session.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>

#include "common/clock.h"
#include "common/timeouts.h"
#include "daemon/descriptor_share.h"
#include "daemon/log.h"

namespace jamsock {

namespace {

using Piece = std::array<char, InputBuffer::piece>;

constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";

std::string address_of_peer(int socket) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    if (address.ss_family == AF_INET6) {
        ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6&>(address).sin6_addr, text.data(),
                    text.size());
    } else {
        ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in&>(address).sin_addr, text.data(),
                    text.size());
    }
    return text.data();
}

// A closed-on-exec socket that sends small pieces at once. None: too few descriptors are left. A
// loop's only session may go further, as adopted backends may hold too many for ever.
std::shared_ptr<Connection> new_tcp_connection(ProxyLoop& loop) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return nullptr;
    const auto number = static_cast<std::size_t>(fd.get());
    if (must_leave_free(DescriptorUse::exchange, number) && !loop.has_one_session()) return nullptr;
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return std::make_shared<Connection>(
        StreamSocket(loop.context(), asio::generic::stream_protocol(AF_INET, 0), fd.release()));
}

// One piece of a body in its framing, with the head before it if there is one: in one write.
Task<bool> write_piece(Connection& to, std::string_view head, std::string_view data,
                       bool is_chunked, bool is_last) {
    const bool has_chunk = is_chunked && !data.empty();
    const std::string size_line = has_chunk ? fmt::format("{:x}\r\n", data.size()) : std::string();
    const std::string_view chunk_end = has_chunk ? "\r\n" : "";
    const std::string_view body_end = is_chunked && is_last ? "0\r\n\r\n" : "";
    const std::array pieces{asio::const_buffer(head.data(), head.size()),
                            asio::const_buffer(size_line.data(), size_line.size()),
                            asio::const_buffer(data.data(), data.size()),
                            asio::const_buffer(chunk_end.data(), chunk_end.size()),
                            asio::const_buffer(body_end.data(), body_end.size())};
    co_return co_await to.write(pieces);
}

Framing framing_of(const ResponseHead& head, const BodyReader& body, bool client_is_http_1_0) {
    if (body.is_done() && head.content_length != 0) return Framing::none;
    if (head.content_length) return Framing::length;
    return client_is_http_1_0 ? Framing::until_close : Framing::chunked;
}

Refusal gone() {
    return refusal(ErrorCode::backend_gone,
                   "This URL is unknown or has expired, or what it led to has ended.");
}

}  // namespace

// One request and its response.
struct Session::Exchange {
    BodyReader request_body;
    bool request_is_chunked = false;
    bool expects_continue = false;
    bool client_is_http_1_0 = false;
    Asker asker;               // keep_alive: the connection can serve another request
    std::string request_head;  // to be sent to the backend

    std::shared_ptr<const Route> route;
    std::shared_ptr<Connection> backend;
    std::optional<Admission> admission;

    bool is_over = false;
    bool request_is_malformed = false;
    bool is_uploading = false;
    Event upload_ended;
};

Session::Session(ProxyLoop& loop, std::shared_ptr<Connection> client)
    : loop_(loop),
      client_(std::move(client)),
      client_address_(address_of_peer(client_->socket().native_handle())) {
    loop_.enter(*this);
}

Session::~Session() {
    loop_.leave(*this);
}

Task<> Session::run() {
    bool may_go_on = true;
    while (may_go_on && !loop_.is_stopping()) {
        may_go_on = co_await serve_next();
    }
    co_await client_->linger();
}

void Session::cut() {
    client_->close();
    lose_client();
}

void Session::cut_if_revoked(std::uint64_t serial) {
    if (pass_ && pass_->entry->route->serial == serial && is_revoked()) cut();
}

bool Session::is_revoked() const {
    const auto& revoked = pass_->entry->route->revoked;
    return revoked &&
           revoked->contains(*ConnectionToken::decode(pass_->token), pass_->identity.user);
}

// False: the connection has ended, or must.
Task<bool> Session::serve_next() {
    const auto incoming = co_await client_->read_head();
    if (!incoming) co_return false;
    if (!*incoming) {
        const std::string answer = response_to(refusal(incoming->error()), Asker{}).bytes;
        co_await client_->write(answer);
        co_return false;
    }
    const RequestHead& head = **incoming;
    const auto target = split_target(head.target);
    std::optional<Refusal> refused;
    if (target) {
        refused = co_await let_in(head, *target);
    } else {
        refused = refusal(ErrorCode::invalid_request, "The path does not begin with a token.");
    }
    const auto exchange =
        std::make_shared<Exchange>(open_exchange(head, target.value_or(SplitTarget{})));
    client_->input().consume(head.text.size());  // the head's views end here

    if (!refused) refused = co_await wait_until_ready();
    if (client_is_gone_) co_return false;
    if (refused) co_return co_await turn_away(*exchange, *refused);
    co_return co_await forward(exchange);
}

Task<std::optional<Refusal>> Session::let_in(const RequestHead& head, const SplitTarget& target) {
    if (!is_loopback_host(head.host)) {
        co_return refusal(ErrorCode::forbidden,
                          "The Host is not a name of this machine's loopback.");
    }
    if (head.wants_upgrade) {
        co_return refusal(ErrorCode::unsupported,
                          "This version passes no upgraded connections on.");
    }
    co_return co_await present(target.token);
}

Task<std::optional<Refusal>> Session::present(std::string_view text) {
    if (pass_ && pass_->token == text && !is_revoked()) co_return std::nullopt;
    pass_.reset();
    const auto token = ConnectionToken::decode(text);
    const auto entry = token ? loop_.find(token->serial()) : nullptr;
    if (!entry || !token->is_genuine(entry->route->key) ||
        token->is_expired(wall_milliseconds() / 1000)) {
        co_return gone();
    }
    Identity identity;
    if (token->has_identity()) {
        const ProxyLoop::LookedUp found = co_await loop_.look_up(token->hash());
        if (!found.was_answered) {
            co_return refusal(ErrorCode::shutting_down,
                              "The daemon is too busy to look the URL up.");
        }
        if (!found.identity) co_return gone();
        identity = *found.identity;
    }
    pass_ = Pass{std::string(text), secret_token(entry->route->key, *token), entry, identity};
    if (!is_revoked()) co_return std::nullopt;
    pass_.reset();
    co_return gone();
}

// Also for a request that was refused, whose body must be known all the same.
Session::Exchange Session::open_exchange(const RequestHead& head, const SplitTarget& target) {
    Exchange exchange{.request_body = BodyReader(head),
                      .request_is_chunked = head.is_chunked,
                      .expects_continue = head.expects_continue,
                      .client_is_http_1_0 = head.is_http_1_0,
                      .asker = {.answers_head = head.method == "HEAD",
                                .prefers_json = prefers_json(head),
                                .keep_alive = head.keep_alive}};
    if (!pass_ || pass_->token != target.token) return exchange;
    append_backend_request_head(exchange.request_head, head, target.rest,
                                {.user = pass_->identity.user,
                                 .auth = pass_->identity.auth,
                                 .path = target.path,
                                 .backend_id = pass_->entry->route->id.str(),
                                 .secret = pass_->secret,
                                 .client_address = client_address_});
    return exchange;
}

Task<std::optional<Refusal>> Session::wait_until_ready() {
    const std::shared_ptr<RouteEntry> entry = pass_->entry;
    if (entry->route->state == Route::State::pending) {
        watch_client();
        while (entry->route->state == Route::State::pending && !client_is_gone_ && !is_revoked()) {
            co_await entry->changed.wait_until(never);
        }
        co_await end_watch();
    }
    if (is_revoked()) co_return gone();
    if (entry->route->state != Route::State::ending) co_return std::nullopt;
    if (!entry->route->startup_limit_passed) co_return gone();
    co_return refusal(ErrorCode::backend_not_ready,
                      "The backend did not become ready within its startup limit.");
}

Task<bool> Session::turn_away(const Exchange& exchange, const Refusal& refusal) {
    Asker asker = exchange.asker;
    asker.keep_alive = asker.keep_alive && exchange.request_body.is_done();
    const OwnResponse response = response_to(refusal, asker);
    if (pass_ && refusal.status > 501) {
        log::info("backend {}: request {} failed: {}", pass_->entry->route->id.str(),
                  response.request_id, refusal.sentence);
    }
    co_return co_await client_->write(response.bytes) && asker.keep_alive;
}

Task<bool> Session::forward(std::shared_ptr<Exchange> exchange) {
    exchange->route = pass_->entry->route;
    if (const auto refused = co_await connect(*exchange)) {
        co_return co_await turn_away(*exchange, *refused);
    }
    exchange_ = exchange;
    co_await send_request(exchange);
    const bool may_go_on = co_await answer(*exchange);
    co_await close_exchange(*exchange);
    exchange_ = nullptr;
    co_return may_go_on;
}

Task<std::optional<Refusal>> Session::connect(Exchange& exchange) {
    exchange.admission = Admission::enter(exchange.route->activity);
    if (!exchange.admission) co_return gone();
    exchange.backend = new_tcp_connection(loop_);
    if (!exchange.backend) {
        co_return refusal(ErrorCode::usage_limit,
                          "The daemon has too few descriptors left for another request.");
    }
    const asio::ip::tcp::endpoint address(asio::ip::address_v4::loopback(), exchange.route->port);
    error_code failed;
    exchange.backend->set_deadline(after(timeouts::backend_connect));
    co_await exchange.backend->socket().async_connect(address, catching(failed));
    exchange.backend->set_deadline(never);
    if (!failed) co_return std::nullopt;
    co_return refusal(ErrorCode::backend_unreachable, "The backend does not accept connections.");
}

// The head, and of the body what has come with it; the rest streams beside the response. A backend
// that takes no more may have answered already, so a failed write is no end.
Task<> Session::send_request(std::shared_ptr<Exchange> exchange) {
    Piece piece;
    const BodyReader::Step step = exchange->request_body.read(client_->input().text(), piece);
    client_->input().consume(step.consumed);
    exchange->request_is_malformed = step.is_malformed;
    const bool is_last = exchange->request_body.is_done();
    if (!step.is_malformed) {
        co_await write_piece(*exchange->backend, exchange->request_head,
                             {piece.data(), step.produced}, exchange->request_is_chunked, is_last);
    }
    if (is_last) {
        watch_client();
    } else {
        exchange->is_uploading = true;
        exchange->expects_continue &= step.produced == 0;
        asio::co_spawn(loop_.context(), upload(exchange), asio::detached);
    }
}

Task<> Session::upload(std::shared_ptr<Exchange> exchange) {
    const auto alive = shared_from_this();
    co_await upload_rest(*exchange);
    exchange->is_uploading = false;
    exchange->upload_ended.notify_all();
    if (exchange->request_is_malformed) exchange->backend->close();
    if (exchange->request_body.is_done() && !exchange->is_over) watch_client();
}

Task<> Session::upload_rest(Exchange& exchange) {
    if (exchange.expects_continue && !co_await client_->write(go_on)) co_return lose_client();
    InputBuffer& input = client_->input();
    Piece piece;
    while (!exchange.request_body.is_done() && !exchange.request_is_malformed &&
           !exchange.is_over) {
        const BodyReader::Step step = exchange.request_body.read(input.text(), piece);
        input.consume(step.consumed);
        const bool stands_still = step.consumed == 0 && step.produced == 0;
        exchange.request_is_malformed |=
            step.is_malformed || (stands_still && input.text().size() > longest_head);
        if (exchange.request_is_malformed) co_return;
        const bool is_last = exchange.request_body.is_done();
        if (step.produced > 0 || is_last) {
            if (!co_await write_piece(*exchange.backend, {}, {piece.data(), step.produced},
                                      exchange.request_is_chunked, is_last)) {
                co_return;
            }
        } else if (stands_still && !co_await client_->read_more()) {
            if (!exchange.is_over) lose_client();
            co_return;
        }
    }
}

// True: the client has a whole answer and may send the next request.
Task<bool> Session::answer(Exchange& exchange) {
    const HeadResult<ResponseHead> head = co_await read_response_head(*exchange.backend);
    if (client_is_gone_) co_return false;
    if (head) co_return co_await relay_response(exchange, *head);
    if (exchange.request_is_malformed) {
        co_return co_await turn_away(
            exchange, refusal(ErrorCode::invalid_request, "The request's body has broken chunks."));
    }
    co_return co_await turn_away(exchange,
                                 refusal(ErrorCode::backend_unreachable, head.error().sentence));
}

// The final one: interim responses end here.
Task<HeadResult<ResponseHead>> Session::read_response_head(Connection& backend) {
    InputBuffer& input = backend.input();
    std::size_t seen = 0;
    while (true) {
        const std::string_view text = input.text();
        if (const auto size = head_size(text, seen)) {
            auto head = parse_response_head(text.substr(0, *size));
            if (!head) {
                co_return tl::unexpected(
                    HeadFault{502, "The backend's answer can't be read. " + head.error().sentence});
            }
            if (head->status == 101) {
                co_return tl::unexpected(
                    HeadFault{502, "The backend upgraded what none asked for."});
            }
            if (head->status >= 200) co_return head;
            input.consume(*size);
            seen = 0;
            continue;
        }
        if (text.size() > longest_head) {
            co_return tl::unexpected(
                HeadFault{502, "The head of the backend's answer is too long."});
        }
        seen = text.size();
        if (!co_await backend.read_more()) {
            co_return tl::unexpected(HeadFault{502, "The backend broke off before its answer."});
        }
    }
}

Task<bool> Session::relay_response(Exchange& exchange, const ResponseHead& head) {
    BodyReader body(head, exchange.asker.answers_head);
    const Framing framing = framing_of(head, body, exchange.client_is_http_1_0);
    // What of the request is still to come would be taken for the next one.
    exchange.asker.keep_alive = exchange.asker.keep_alive && framing != Framing::until_close &&
                                exchange.request_body.is_done() && !loop_.is_stopping();
    std::string out;
    append_client_response_head(out, head, framing, exchange.asker.keep_alive,
                                exchange.route->id.str());
    exchange.backend->input().consume(head.text.size());  // the head's views end here
    const bool is_whole = co_await relay_body(exchange, std::move(body), framing, std::move(out));
    if (!is_whole) {
        // Where the end of the connection is the end of the body, an end would be a lie.
        if (framing == Framing::until_close) client_->reset();
        client_->close();
        co_return false;
    }
    co_return exchange.asker.keep_alive;
}

// `head` goes out with the first piece, even if that is empty. False: the body is cut short, or the
// client is gone.
Task<bool> Session::relay_body(Exchange& exchange, BodyReader body, Framing framing,
                               std::string head) {
    InputBuffer& input = exchange.backend->input();
    const bool is_chunked = framing == Framing::chunked;
    Piece piece;
    bool goes_on = true;
    while (goes_on) {
        const BodyReader::Step step = body.read(input.text(), piece);
        input.consume(step.consumed);
        const bool stands_still = step.consumed == 0 && step.produced == 0;
        if (step.is_malformed || (stands_still && input.text().size() > longest_head)) {
            co_return false;
        }
        const bool is_last = body.is_done();
        if (step.produced > 0 || is_last || !head.empty()) {
            if (!co_await write_piece(*client_, head, {piece.data(), step.produced}, is_chunked,
                                      is_last)) {
                lose_client();
                co_return false;
            }
            head.clear();
        }
        if (is_last) co_return true;
        if (stands_still) goes_on = co_await exchange.backend->read_more();
    }
    if (client_is_gone_ || !body.lasts_until_close() || !exchange.backend->has_ended()) {
        co_return false;
    }
    co_return co_await write_piece(*client_, {}, {}, is_chunked, true);
}

// Leaves nothing behind that reads or writes for this exchange.
Task<> Session::close_exchange(Exchange& exchange) {
    exchange.is_over = true;
    exchange.backend->close();
    error_code ignored;
    client_->socket().cancel(ignored);
    while (exchange.is_uploading) {
        co_await exchange.upload_ended.wait_until(never);
    }
    co_await end_watch();
}

void Session::watch_client() {
    wants_watch_ = true;
    if (is_watching_ || client_->input().text().size() > longest_head) return;
    is_watching_ = true;
    client_->socket().async_read_some(
        client_->input().room(), [self = shared_from_this()](error_code failed, std::size_t size) {
            self->is_watching_ = false;
            self->client_->input().commit(size);
            if (failed && failed != asio::error::operation_aborted) self->lose_client();
            if (!failed && self->wants_watch_) self->watch_client();
            self->watch_ended_.notify_all();
        });
}

Task<> Session::end_watch() {
    wants_watch_ = false;
    error_code ignored;
    if (is_watching_) client_->socket().cancel(ignored);
    while (is_watching_) {
        co_await watch_ended_.wait_until(never);
    }
}

void Session::lose_client() {
    client_is_gone_ = true;
    if (exchange_) exchange_->backend->close();
    if (pass_) pass_->entry->changed.notify_all();
}

}  // namespace jamsock
