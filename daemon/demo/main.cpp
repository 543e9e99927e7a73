// jamsock-demo: the backend of the default service. One text per process, shared by all who look.
// It is an ordinary backend: it takes PORT and the SESSION_BACKEND_ variables, and knows nothing
// else of jamsock.

#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <memory>

#include "common/environment.h"
#include "common/text.h"
#include "daemon/demo/page.h"
#include "daemon/demo/room.h"
#include "daemon/demo/server.h"
#include "daemon/demo/wire.h"

namespace jamsock::demo {

namespace {

// Each looker's stream holds a thread; one more is told that all places are taken, and tries again.
constexpr std::size_t places = 64;
constexpr std::size_t threads = places + 16;            // the rest serves pages and edits
constexpr std::size_t longest_body = 8 * longest_text;  // JSON may write a unit in six bytes

void show_page(const PageFacts& facts, const Room& room, httplib::Response& response) {
    const std::string nonce = new_nonce();
    response.set_header("Content-Security-Policy", security_policy(nonce));
    response.set_content(page(facts, {room.lookers(), room.uptime()}, nonce),
                         "text/html; charset=utf-8");
}

// False: the client is gone.
bool wait_for_news(const Room::Seat& seat, int client) {
    std::array<pollfd, 2> fds{pollfd{seat.news(), POLLIN, 0}, pollfd{client, POLLRDHUP, 0}};
    ::poll(fds.data(), fds.size(), -1);
    return fds[1].revents == 0;
}

// The looker's stream, for as long as both ends want it. The thread waits in here.
bool tell_news(Room::Seat& seat, int client, httplib::DataSink& sink) {
    const auto events = seat.unseen();
    if (!events) return false;
    if (!events->empty()) return sink.write(events->data(), events->size());
    return wait_for_news(seat, client);
}

void follow(Room& room, const httplib::Request& request, httplib::Response& response) {
    const std::string id = request.get_param_value("by");
    if (!is_looker_id(id)) {
        response.status = 400;
        return;
    }
    const std::shared_ptr<Room::Seat> seat =
        room.enter(id, looker_name(request.get_header_value("x-verified-username"),
                                   request.get_param_value("name")));
    if (!seat) {
        response.set_content(full_event(room.places()), "text/event-stream");
        return;
    }
    response.set_chunked_content_provider(
        "text/event-stream",
        [seat, client = Server::client_socket()](std::size_t, httplib::DataSink& sink) {
            return tell_news(*seat, client, sink);
        });
}

int status_of(Document::Outcome outcome) {
    switch (outcome) {
        case Document::Outcome::applied:
        case Document::Outcome::known:
            return 204;
        case Document::Outcome::too_old:
            return 409;
        case Document::Outcome::too_long:
            return 413;
        case Document::Outcome::invalid:
            return 400;
    }
    return 500;
}

void add_routes(Server& server, Room& room, const PageFacts& facts) {
    server.Get("/", [&](const httplib::Request&, httplib::Response& response) {
        show_page(facts, room, response);
    });
    server.Get("/events", [&](const httplib::Request& request, httplib::Response& response) {
        follow(room, request, response);
    });
    server.Post("/edits", [&](const httplib::Request& request, httplib::Response& response) {
        const auto posted = posted_edit(request.body);
        response.status = posted ? status_of(room.edit(*posted)) : 400;
    });
    server.set_payload_max_length(longest_body);
    server.set_default_headers({{"Cache-Control", "no-store"},
                                {"Referrer-Policy", "no-referrer"},
                                {"X-Content-Type-Options", "nosniff"}});
}

int run() {
    long long port = 0;
    if (!parse_number(environment_variable("PORT").value_or(""), port) || port < 1 ||
        port > 65535) {
        fmt::print(stderr, "jamsock-demo: PORT is not set to a port; jamsock sets it.\n");
        return 2;
    }
    const PageFacts facts{environment_variable("SESSION_BACKEND_KEY").value_or("(no key)"),
                          environment_variable("SESSION_BACKEND_ID").value_or("(none)"),
                          environment_variable("SESSION_BACKEND_FENCING_TOKEN").value_or("(none)")};
    Room room(places);
    Server server(threads);
    add_routes(server, room, facts);
    if (!server.serve(static_cast<int>(port))) {
        fmt::print(stderr, "jamsock-demo: can't listen on port {}.\n", port);
        return 1;
    }
    return 0;
}

}  // namespace

}  // namespace jamsock::demo

int main() {
    return jamsock::demo::run();
}
