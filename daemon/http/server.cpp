#include "daemon/http/server.h"

#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <list>
#include <utility>

#include "common/error.h"
#include "common/timeouts.h"
#include "daemon/http/body.h"
#include "daemon/http/connection.h"
#include "daemon/http/event_stream.h"
#include "daemon/http/head_rules.h"

namespace jamsock {

namespace {

constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::size_t usual_head = 256;
constexpr int worth_a_trim = 500;  // streams that have ended
constexpr std::size_t prepared_at_once = 64;
constexpr std::string_view default_content_type = "application/json";

struct Client {
    std::shared_ptr<Connection> connection;
    bool is_idle = true;    // between two requests
    bool is_asked = false;  // the service is asked, which may wait
    Caller caller = {};
    std::uint64_t stranger = 0;  // its number in the row of strangers; 0: it needs no place there
};

Request to_request(const RequestHead& head, Peer peer) {
    Request request{.method = std::string(head.method), .peer = peer};
    const auto question = std::min(head.target.find('?'), head.target.size());
    request.path = head.target.substr(0, question);
    request.query = head.target.substr(std::min(question + 1, head.target.size()));
    request.headers.reserve(head.fields.size());
    for (const Field& field : head.fields)
        request.headers.emplace_back(field.name, field.value);
    return request;
}

// How the body's end is told: by its length, its last chunk, or the end of the connection.
enum class Framing { length, chunked, until_close };

std::string head_of(const Response& response, Framing framing, bool keep_alive) {
    std::string head;
    head.reserve(usual_head);
    fmt::format_to(std::back_inserter(head), "HTTP/1.1 {} {}\r\n", response.status,
                   http_reason(response.status));
    for (const auto& [name, value] : response.headers) {
        fmt::format_to(std::back_inserter(head), "{}: {}\r\n", name, value);
    }
    if (!response.body.empty() && !find_header(response.headers, "content-type")) {
        fmt::format_to(std::back_inserter(head), "Content-Type: {}\r\n", default_content_type);
    }
    if (framing == Framing::chunked) head += "Transfer-Encoding: chunked\r\n";
    if (framing == Framing::length && response.status != 204 && response.status != 304) {
        fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", response.body.size());
    }
    head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    return head;
}

enum class BodyEnd {
    complete,
    longer,  // than was declared, and taken all the same
    too_large,
    malformed,
    client_gone,
};

Task<BodyEnd> read_body(Connection& connection, BodyReader& reader, bool expects_continue,
                        std::size_t limit, std::string& body) {
    InputBuffer& input = connection.input();
    if (expects_continue && input.text().empty() && !co_await connection.write(go_on)) {
        co_return BodyEnd::client_gone;
    }
    while (!reader.is_done()) {
        const ChunkedReader::Step step = reader.read(input.text(), body);
        input.consume(step.consumed);
        if (step.is_malformed) co_return BodyEnd::malformed;
        if (body.size() > limit) co_return BodyEnd::too_large;
        if (step.consumed == 0 && !co_await connection.read_more()) co_return BodyEnd::client_gone;
    }
    co_return BodyEnd::complete;
}

}  // namespace

struct Server::State : std::enable_shared_from_this<State> {
    class Departure;

    State(asio::io_context& loop, UniqueFd listening_fd, Service answer, ServerOptions how)
        : listening(loop, listening_fd.release()),
          service(std::move(answer)),
          options(std::move(how)) {}

    bool is_full() const { return options.connections->open >= options.most_connections; }
    Task<> wait_for_room();
    void add(std::shared_ptr<Connection> connection);
    void admit(Client& newcomer);
    void let_know(Client& client, const Request& head) const;
    Task<> serve(Client& client);
    Task<bool> answer_next(Client& client);
    Task<BodyEnd> take_body(Connection& connection, const RequestHead& head, Request& request);
    Task<BodyEnd> take_missing(Connection& connection, Request& request);
    Task<Response> ask_service(Client& client, Request& request);
    bool has_left(Connection& connection) const;
    void look_for_clients();
    static Task<> keep_looking(std::shared_ptr<State> state);
    Task<bool> send(Connection& connection, const Response& response, bool answers_head,
                    bool keep_alive);
    Task<> send_events(const std::shared_ptr<Connection>& connection, const Request& request,
                       const Response& response, bool answers_head, bool is_http_1_0);
    Task<bool> fill(EventStream& stream, const Request& request, const Response& response);
    Response answer_to(const std::exception& bug, const Request& request) const;
    std::optional<Response> refusal_of(const RequestHead& head, const Request& request) const;
    Task<> turn_away(Connection& connection, int status, const std::string& sentence);
    Task<> turn_away(Connection& connection, const Response& response, bool answers_head);
    void prepare_for_more();
    void count_stream_end();
    static Task<> trim(std::shared_ptr<State> state);

    asio::posix::stream_descriptor listening;
    Service service;
    ServerOptions options;
    std::list<Client> clients;
    std::size_t prepared_for = prepared_at_once;  // clients; so few need nothing
    int streams_ended = 0;
    bool is_looking = false;
    bool is_stopping = false;
    Event stop_begun;
    Deadline stop_by = never;
    Event client_left;
};

// Takes the client off the list when its coroutine ends, however it does.
class Server::State::Departure {
  public:
    Departure(State& state, std::list<Client>::iterator client) : state_(state), client_(client) {}
    Departure(const Departure&) = delete;
    Departure& operator=(const Departure&) = delete;
    ~Departure() {
        if (client_->stranger != 0) state_.options.strangers->leave(client_->stranger);
        state_.clients.erase(client_);
        --state_.options.connections->open;
        state_.options.connections->left.notify_all();
        state_.client_left.notify_all();
    }

  private:
    State& state_;
    std::list<Client>::iterator client_;
};

Task<> Server::State::wait_for_room() {
    while (is_full() && listening.is_open())
        co_await options.connections->left.wait_until(never);
}

// Asio keeps for ever, to use it again, what it has made for a descriptor. Made for one client
// after the other, among all else that these need, it would keep that memory's pages, too, from
// going back to the system: so it is made for many at a time, side by side.
void Server::State::prepare_for_more() {
    prepared_for += prepared_at_once;
    // Each a file of its own: of a copy, epoll would go on telling after it was closed.
    std::list<asio::posix::stream_descriptor> dummies;
    error_code failed;
    for (std::size_t i = 0; i < prepared_at_once && !failed; ++i) {
        UniqueFd one(::eventfd(0, EFD_CLOEXEC));
        if (!one) return;  // who is short of descriptors has no thousands of clients
        dummies.emplace_back(listening.get_executor()).assign(one.get(), failed);
        if (!failed) one.release();
    }
}

void Server::State::add(std::shared_ptr<Connection> connection) {
    if (clients.size() >= prepared_for) prepare_for_more();
    ++options.connections->open;
    const auto client = clients.insert(clients.end(), Client{std::move(connection)});
    if (options.strangers) admit(*client);
    const auto serve_until_end = [](std::shared_ptr<State> state,
                                    std::list<Client>::iterator served) -> Task<> {
        const Departure departure(*state, served);
        co_await state->serve(*served);
    };
    asio::co_spawn(listening.get_executor(), serve_until_end(shared_from_this(), client),
                   asio::detached);
}

// Whatever one that is put out waits for ends.
void Server::State::admit(Client& newcomer) {
    const int socket = newcomer.connection->socket().native_handle();
    newcomer.stranger = options.strangers->enter(socket, [&newcomer] {
        newcomer.connection->close();
        if (newcomer.is_asked) newcomer.caller.leave();
    });
}

void Server::State::let_know(Client& client, const Request& head) const {
    if (client.stranger == 0 || !options.is_known(head)) return;
    options.strangers->leave(std::exchange(client.stranger, 0));
}

Task<> Server::State::serve(Client& client) {
    bool may_go_on = true;
    while (may_go_on && !is_stopping) {
        may_go_on = co_await answer_next(client);
    }
    client.connection->close();
}

// One request and its response. False: the connection has ended, or must.
Task<bool> Server::State::answer_next(Client& client) {
    Connection& connection = *client.connection;
    client.is_idle = true;
    const auto incoming = co_await connection.read_head();
    client.is_idle = false;
    if (!incoming) co_return false;
    if (const auto& head = *incoming; !head) {
        co_await turn_away(connection, head.error().status, head.error().sentence);
        co_return false;
    }
    const RequestHead& head = **incoming;
    const bool answers_head = head.method == "HEAD";
    bool keep_alive = head.keep_alive;
    bool may_send_more = false;
    const bool is_http_1_0 = head.is_http_1_0;
    Request request = to_request(head, options.peer);
    let_know(client, request);
    if (const auto refused = refusal_of(head, request)) {
        co_await turn_away(connection, *refused, answers_head);
        co_return false;
    }
    switch (co_await take_body(connection, head, request)) {
        case BodyEnd::complete:
            break;
        case BodyEnd::longer:
            keep_alive = false;
            may_send_more = true;
            break;
        case BodyEnd::client_gone:
            co_return false;
        case BodyEnd::malformed:
            co_await turn_away(connection, 400, "The request's body has broken chunks.");
            co_return false;
        case BodyEnd::too_large:
            co_await turn_away(
                connection, 413,
                fmt::format("The request's body is longer than {} bytes.", options.body_limit));
            co_return false;
    }
    const Response response = co_await ask_service(client, request);
    if (response.events) {
        co_await send_events(client.connection, request, response, answers_head, is_http_1_0);
        co_return false;
    }
    const bool may_go_on = co_await send(connection, response, answers_head, keep_alive);
    if (may_send_more) co_await connection.linger();
    co_return may_go_on;
}

std::optional<Response> Server::State::refusal_of(const RequestHead& head,
                                                  const Request& request) const {
    if (!head.has_body() || !options.turns_away) return std::nullopt;
    return options.turns_away(request);
}

// Uses the head up: its views end here.
Task<BodyEnd> Server::State::take_body(Connection& connection, const RequestHead& head,
                                       Request& request) {
    const bool has_body = head.has_body();
    const bool too_large = head.content_length.value_or(0) > options.body_limit;
    const bool expects_continue = head.expects_continue;
    const bool has_length = head.content_length.has_value();
    BodyReader reader(head);
    connection.input().consume(head.text.size());
    if (too_large) co_return BodyEnd::too_large;
    if (!has_body) co_return BodyEnd::complete;

    connection.set_deadline(after(timeouts::request_body));
    BodyEnd end =
        co_await read_body(connection, reader, expects_continue, options.body_limit, request.body);
    if (end == BodyEnd::complete && has_length && options.missing_bytes) {
        end = co_await take_missing(connection, request);
    }
    connection.set_deadline(never);
    co_return end;
}

// A client that ends its sending first is told what its body is worth as it is.
Task<BodyEnd> Server::State::take_missing(Connection& connection, Request& request) {
    BodyEnd end = BodyEnd::complete;
    InputBuffer& input = connection.input();
    bool may_come = true;
    while (may_come) {
        const std::size_t missing = options.missing_bytes(request);
        if (missing == 0) co_return end;
        if (request.body.size() + missing > options.body_limit) co_return BodyEnd::too_large;
        if (end == BodyEnd::complete) connection.set_deadline(after(timeouts::missing_bytes));
        end = BodyEnd::longer;
        if (input.text().empty()) may_come = co_await connection.read_more();
        const std::size_t taken = std::min(missing, input.text().size());
        request.body.append(input.text().substr(0, taken));
        input.consume(taken);
    }
    co_return end;
}

Task<Response> Server::State::ask_service(Client& client, Request& request) {
    request.caller = &client.caller;
    client.is_asked = true;
    look_for_clients();
    std::optional<Response> response;
    try {
        response = co_await service(request);
    } catch (const std::exception& bug) {
        response = answer_to(bug, request);
    }
    client.is_asked = false;
    co_return *std::move(response);
}

// A client that only ended its sending waits for its answer.
bool Server::State::has_left(Connection& connection) const {
    const int socket = connection.socket().native_handle();
    pollfd state{.fd = socket, .events = POLLRDHUP, .revents = 0};
    if (::poll(&state, 1, 0) != 1) return false;
    if ((state.revents & (POLLHUP | POLLERR)) != 0) return true;
    return options.is_gone && options.is_gone(socket);
}

// Most requests are answered before the first look.
void Server::State::look_for_clients() {
    if (is_looking) return;
    is_looking = true;
    asio::co_spawn(listening.get_executor(), keep_looking(shared_from_this()), asio::detached);
}

// Who leaves while the service waits is let go, and the wait ended.
Task<> Server::State::keep_looking(std::shared_ptr<State> state) {
    const auto is_asked = [](const Client& client) { return client.is_asked; };
    do {
        co_await state->stop_begun.wait_until(after(timeouts::peer_look));
        for (Client& client : state->clients) {
            if (!client.is_asked || client.caller.has_left()) continue;
            if (!state->has_left(*client.connection)) continue;
            client.connection->close();
            client.caller.leave();
        }
    } while (!state->is_stopping && std::ranges::any_of(state->clients, is_asked));
    state->is_looking = false;
}

Response Server::State::answer_to(const std::exception& bug, const Request& request) const {
    if (options.on_exception) return options.on_exception(request, bug.what());
    return options.refuse(500, "The request met a bug in the daemon.");
}

Task<bool> Server::State::send(Connection& connection, const Response& response, bool answers_head,
                               bool keep_alive) {
    keep_alive = keep_alive && !is_stopping && !is_full();
    const std::string head = head_of(response, Framing::length, keep_alive);
    const std::array pieces{
        asio::buffer(head),
        answers_head ? asio::const_buffer() : asio::buffer(response.body),
    };
    connection.set_deadline(after(timeouts::response_write));
    co_return co_await connection.write(pieces) && keep_alive;
}

Task<> Server::State::send_events(const std::shared_ptr<Connection>& connection,
                                  const Request& request, const Response& response,
                                  bool answers_head, bool is_http_1_0) {
    const Framing framing = is_http_1_0 ? Framing::until_close : Framing::chunked;
    const std::string head = head_of(response, framing, /*keep_alive=*/false);
    connection->set_deadline(after(timeouts::response_write));
    const bool sent = co_await connection->write(head);
    connection->set_deadline(never);
    if (!sent || answers_head) co_return;
    EventStream stream(connection, framing == Framing::chunked);
    const bool is_whole = co_await fill(stream, request, response);
    if (is_whole) co_await stream.finish();
    count_stream_end();
}

// False: the events broke off.
Task<bool> Server::State::fill(EventStream& stream, const Request& request,
                               const Response& response) {
    try {
        co_await response.events(stream);
        co_return true;
    } catch (const std::exception& bug) {
        answer_to(bug, request);
    }
    co_return false;
}

void Server::State::count_stream_end() {
    if (++streams_ended != worth_a_trim) return;
    asio::co_spawn(listening.get_executor(), trim(shared_from_this()), asio::detached);
}

// Gives memory back to the system some time after many streams have ended: the allocator by itself
// keeps what lies between blocks that are in use.
Task<> Server::State::trim(std::shared_ptr<State> state) {
    co_await sleep_for(timeouts::memory_trim);
    state->streams_ended = 0;
    ::malloc_trim(0);
}

Task<> Server::State::turn_away(Connection& connection, int status, const std::string& sentence) {
    const Response response = options.refuse(status, sentence);
    co_await turn_away(connection, response, /*answers_head=*/false);
}

Task<> Server::State::turn_away(Connection& connection, const Response& response,
                                bool answers_head) {
    co_await send(connection, response, answers_head, /*keep_alive=*/false);
    co_await connection.linger();
}

Server::Server(asio::io_context& loop, UniqueFd listening, Service service, ServerOptions options)
    : state_(std::make_shared<State>(loop, std::move(listening), std::move(service),
                                     std::move(options))) {
}

Server::~Server() = default;

void Server::start() {
    const auto accept = [](std::shared_ptr<State> state) -> Task<> {
        const std::function<Task<>()> room = [&state] { return state->wait_for_room(); };
        const std::function<void(std::shared_ptr<Connection>)> serve =
            [&state](std::shared_ptr<Connection> connection) { state->add(std::move(connection)); };
        co_await accept_connections(state->listening, room, state->options.accept_filter, serve);
    };
    asio::co_spawn(state_->listening.get_executor(), accept(state_), asio::detached);
}

void Server::begin_stop() {
    if (state_->is_stopping) return;
    state_->is_stopping = true;
    state_->stop_begun.notify_all();
    state_->stop_by = after(timeouts::server_stop);
    error_code ignored;
    state_->listening.close(ignored);
    state_->options.connections->left.notify_all();  // who waits for room need not any more
    for (const Client& client : state_->clients) {
        if (client.is_idle) client.connection->close();
    }
}

Task<> Server::stop() {
    const std::shared_ptr<State> state = state_;
    begin_stop();
    while (!state->clients.empty()) {
        if (!co_await state->client_left.wait_until(state->stop_by)) break;
    }
    for (const Client& client : state->clients)
        client.connection->close();
}

}  // namespace jamsock
