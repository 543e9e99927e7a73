// WebSockets through the real programs: Debian's node-ws on both sides.
#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/eventually.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/web_backend.h"

using namespace jamsock;
using namespace jamsock::test;

TEST_CASE("messages, fragments, pings and closes pass unchanged, both ways") {
    const WebBackend backend;
    for (const char* scenario :
         {"messages", "fragments", "pings", "closedByClient", "closedByBackend", "compressed"}) {
        backend.check("websocket_client.js", scenario);
    }
    CHECK(eventually([&] { return backend.entry().connections == 0; }));
}

TEST_CASE("messages of 10 MB pass unchanged, both ways at once") {
    const WebBackend backend;
    backend.check("websocket_client.js", "large");
}

TEST_CASE("fifty sockets at once get their own messages, in order") {
    const WebBackend backend;
    backend.check("websocket_client.js", "many");
}

TEST_CASE(
    "a WebSocket's request and answer arrive as they were sent, and with what is vouched for") {
    const WebBackend backend;
    const ConnectRequest as_ann{
        .key = backend.entry().key, .user = "ann", .auth = R"({"role":"editor"})"};
    const Answer connected = backend.home.post("/v2/service/local/web/connect", as_ann.to_json());
    const std::string url = ConnectResponse::from_json(connected.body).value().url;
    WebBackend::check_end(backend.start("websocket_client.js", "head", url));
}

TEST_CASE("a WebSocket that comes before its backend is ready opens when it is") {
    const TemporaryDirectory directory;
    const WebBackend backend({"LISTEN_AT=" + directory.path("now")}, /*wait=*/false);
    Child client = backend.start("websocket_client.js", "one", backend.url());
    REQUIRE(eventually([&] { return backend.entry().status == Status::waiting; }));
    std::ofstream(directory.path("now")) << "listen\n";
    WebBackend::check_end(std::move(client));
}
