// `jamsock revoke`: a user's URLs end, with what goes through them; those of others stay.
#include <doctest/doctest.h>

#include "tests/support/eventually.h"
#include "tests/support/web_backend.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

ConnectResponse connect_as(const WebBackend& backend, const std::string& user) {
    const ConnectRequest request{.key = backend.entry().key, .user = user};
    const Answer answer = backend.home.post("/v2/service/local/web/connect", request.to_json());
    return ConnectResponse::from_json(answer.body).value();
}

// Through the tunnel of an upgrade, which echoes.
RawSocket join_chat(const WebBackend& backend, const ConnectResponse& connection) {
    RawSocket client = backend.connect();
    REQUIRE(client.send("GET /" + connection.token +
                        "/chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                        "Upgrade: chat/1\r\n\r\n"));
    REQUIRE(client.read_until("welcome\n").starts_with("HTTP/1.1 101 "));
    return client;
}

bool echoes(RawSocket& client) {
    return client.send("still here\n") && client.read_until("\n") == "still here\n";
}

}  // namespace

TEST_CASE("revoke --close ends a user's URL and open connections, and nobody else's") {
    const WebBackend backend;
    const ConnectResponse ann = connect_as(backend, "ann");
    const ConnectResponse bob = connect_as(backend, "bob");
    RawSocket anns = join_chat(backend, ann);
    RawSocket bobs = join_chat(backend, bob);
    CHECK(echoes(anns));

    const std::string id = ann.backend_id.str();
    CHECK(backend.home.output_of({"revoke", id, "--user", "ann", "--close"}) ==
          id + ": 1 token revoked");
    CHECK((anns.is_at_end() || anns.is_broken()));
    CHECK(fetch(ann.url).status == 410);
    CHECK(echoes(bobs));
    CHECK(fetch(bob.url).status == 200);
    CHECK(fetch(connect_as(backend, "ann").url).status == 200);
}

TEST_CASE("one URL is revoked as a command of a script reads it; what is open goes on") {
    const WebBackend backend;
    const ConnectResponse first = connect_as(backend, "ann");
    const ConnectResponse second = connect_as(backend, "ann");
    RawSocket open = join_chat(backend, first);
    const RunResult revoked =
        run({"/bin/sh", "-c", "echo \"$1\" | \"$0\" revoke web --key document-123 --token -",
             JAMSOCK_BUILD_DIR "/bin/jamsock", first.url},
            backend.home.options());
    CHECK(revoked.out == first.backend_id.str() + ": 1 token revoked\n");
    CHECK(fetch(first.url).status == 410);
    CHECK(echoes(open));
    CHECK(fetch(second.url).status == 200);

    const std::string id = first.backend_id.str();
    CHECK(backend.home.output_of({"revoke", id, "--token", first.url}) ==
          id + ": 0 tokens revoked");
    CHECK(backend.home.jamsock({"revoke", id, "--token", std::string(43, 'A')}).exit_code == 2);
    backend.home.output_of({"terminate", id});
    CHECK(backend.home.jamsock({"revoke", id, "--user", "ann"}).exit_code == 3);
}
