#include "daemon/api/ready_page.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string page_of(const std::vector<StatusChange>& statuses) {
    return ReadyPage{BackendId::parse("knrv5").value(), "http://127.0.0.1:9090/t0ken/", statuses}
        .html("n0nce");
}

std::string shown(const std::string& moment, const std::string& heading) {
    return "<div data-when=\"" + moment + "\"><h1>" + heading + "</h1>";
}

StatusChange ended(std::optional<TerminationReason> reason, std::optional<int> code = {}) {
    StatusChange change{.status = Status::terminated, .reason = reason};
    if (code) change.exit = ProcessExit{*code, std::nullopt};
    return change;
}

}  // namespace

TEST_CASE("a backend's page says where its start is, and shows one heading") {
    const auto starting = page_of({{.status = Status::scheduled}, {.status = Status::waiting}});
    CHECK(contains(starting, "<title>Starting · jamsock</title>"));
    CHECK(contains(starting, shown("waiting", "Starting")));
    CHECK(contains(starting, "<div data-when=\"scheduled\" hidden>"));
    CHECK(contains(starting, "<div data-when=\"ended\" hidden>"));
    CHECK(contains(starting, "<progress max=\"5\" value=\"4\" aria-label="));
    CHECK(contains(starting, "data-stream=\"/v2/backend/knrv5/status/stream\""));
    CHECK(contains(starting, "<a id=\"open\" href=\"http://127.0.0.1:9090/t0ken/\">"));
    CHECK(contains(starting, "<noscript><meta http-equiv=\"refresh\""));
    CHECK(contains(starting, "<div role=\"status\">"));
}

TEST_CASE("a backend that ended, or did not start, is told in plain words and with its reason") {
    const StatusChange ready{.status = Status::ready};
    const StatusChange waiting{.status = Status::waiting};
    CHECK(contains(page_of({ready, ended({}, 0)}), shown("ended", "It has ended")));
    CHECK(contains(page_of({ready, ended({}, 0)}), "<p data-why=\"exited\">"));
    CHECK(contains(page_of({ready, ended({}, 3)}), "<p data-why=\"failed\">"));
    CHECK(contains(page_of({waiting, ended({}, 3)}), shown("not-started", "It did not start")));
    CHECK(contains(page_of({waiting, ended(TerminationReason::startuptimeout)}),
                   "<p data-why=\"startuptimeout\">It did not answer"));
    const std::string over = page_of({ready, ended(TerminationReason::swept)});
    CHECK(contains(over, "<p data-why=\"swept\">Nobody used it"));
    CHECK(contains(over, "<p data-why=\"external\" hidden>"));
    CHECK(contains(over, "<p data-over=\"yes\">"));
    CHECK(contains(over, "<p data-over=\"no\" hidden>"));
    CHECK(contains(over, " hidden></progress>"));
    CHECK_FALSE(contains(over, "data-stream="));
    CHECK_FALSE(contains(over, "http-equiv"));
    CHECK(contains(page_of({ready, {.status = Status::hard_terminating}}),
                   shown("ending", "Ending")));
}

TEST_CASE("every reason that there is has a sentence") {
    for (const auto reason :
         {TerminationReason::swept, TerminationReason::external, TerminationReason::keyexpired,
          TerminationReason::lost, TerminationReason::startuptimeout,
          TerminationReason::internalerror}) {
        const std::string why = "<p data-why=\"" + std::string(word(reason)) + "\">";
        CHECK(contains(page_of({ended(reason)}), why));
    }
}

TEST_CASE("only what has the nonce runs, and nothing comes from elsewhere") {
    const std::string html = page_of({{.status = Status::scheduled}});
    CHECK(contains(html, "<style nonce=\"n0nce\">"));
    CHECK(contains(html, "<script nonce=\"n0nce\">"));
    for (const char* elsewhere : {" src=", "@import", "url(", "<link", " style=", " onload="})
        CHECK_FALSE(contains(html, elsewhere));
    CHECK(ready_page_policy("n0nce") ==
          "default-src 'none'; script-src 'nonce-n0nce'; style-src 'nonce-n0nce'; "
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}

TEST_CASE("both colour schemes are there") {
    const std::string html = page_of({{.status = Status::scheduled}});
    CHECK(contains(html, "color-scheme: light dark;"));
    CHECK(contains(html, "@media (prefers-color-scheme: dark)"));
}
