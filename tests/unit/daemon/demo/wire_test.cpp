#include "daemon/demo/wire.h"

#include <doctest/doctest.h>

using namespace jamsock::demo;

TEST_CASE("a posted edit is read, in UTF-16 units") {
    const auto posted = posted_edit(
        R"({"by":"w1","number":3,"base":7,"splices":[{"at":2,"removed":1,"inserted":"é🎈\n"}]})");
    REQUIRE(posted);
    CHECK(posted->edit.by == "w1");
    CHECK(posted->edit.number == 3);
    CHECK(posted->base == 7);
    REQUIRE(posted->edit.splices.size() == 1);
    CHECK(posted->edit.splices[0] == Splice{2, 1, u"é🎈\n"});
}

TEST_CASE("a page's id is a plain word, so that nothing can break what others are sent") {
    CHECK(is_looker_id("a0"));
    CHECK(is_looker_id(std::string(64, 'x')));
    for (const std::string& wrong : {std::string(), std::string(65, 'x'), std::string("A"),
                                     std::string("a b"), std::string("a\xff"), std::string("é")}) {
        CAPTURE(wrong);
        CHECK_FALSE(is_looker_id(wrong));
        CHECK_FALSE(posted_edit(R"({"number":3,"base":7,"splices":[],"by":")" + wrong + "\"}"));
    }
    CHECK(posted_edit(R"({"number":3,"base":7,"splices":[],"by":"a0"})"));
}

TEST_CASE("what is no edit is nothing") {
    for (
        const char* body : {
            "",
            "[]",
            "{}",
            "\"text\"",
            R"({"by":"w1","number":3,"base":7})",
            R"({"by":1,"number":3,"base":7,"splices":[]})",
            R"({"by":"w1","number":-3,"base":7,"splices":[]})",
            R"({"by":"w1","number":3,"base":"7","splices":[]})",
            R"({"by":"w1","number":3,"base":7,"splices":[7]})",
            R"({"by":"w1","number":3,"base":7,"splices":[{"at":0,"removed":0}]})",
            R"({"by":"w1","number":3,"base":7,"splices":[{"at":-1,"removed":0,"inserted":""}]})",
            R"({"by":"w1","number":3,"base":7,"splices":[{"at":0.5,"removed":0,"inserted":""}]})",
            R"({"by":"w1","number":3,"base":7,
                 "splices":[{"at":0,"removed":18446744073709551615,"inserted":""}]})",
            R"({"by":"w1","number":3,"base":7,"splices":[{"at":0,"removed":0,"inserted":"\ud83c"}]})",
            R"({"by":"w1","number":3,"base":7,"splices":[{"at":0,"removed":0,"inserted":"\r\n"}]})",
        }) {
        CAPTURE(body);
        CHECK_FALSE(posted_edit(body));
    }
}

TEST_CASE("an event is two lines, whatever the text") {
    Document document;
    document.apply({"w1", 1, {{0, 0, u"a\n\n\"🎈"}}}, 0);
    CHECK(state_event(document, 1, std::chrono::seconds(9)) ==
          "event: state\n"
          R"(data: {"number":1,"text":"a\n\n\"🎈","uptime":9,"version":1})"
          "\n\n");
    CHECK(edit_event(document.edit_after(0), 1) ==
          "event: edit\n"
          R"(data: {"by":"w1","number":1,"splices":[{"at":0,"inserted":"a\n\n\"🎈","removed":0}],)"
          R"("version":1})"
          "\n\n");
    CHECK(lookers_event({{"w1", "Ann", 2}}) ==
          "event: lookers\n"
          R"(data: [{"colour":2,"id":"w1","name":"Ann"}])"
          "\n\n");
    CHECK(full_event(64) == "event: full\ndata: 64\n\n");
}

TEST_CASE("a looker's name is the verified one, in plain view and of a bearable length") {
    CHECK(looker_name("ann", "Curious Otter") == "ann");
    CHECK(looker_name("", "Curious Otter") == "Curious Otter");
    CHECK(looker_name("", "") == "Somebody");
    CHECK(looker_name("", "  ") == "Somebody");
    CHECK(looker_name("", "a\nb\u202e") == R"(a\nb\u{202e})");
    CHECK(looker_name("a\xff", "") == R"(a\xff)");
    CHECK(looker_name("", std::string(41, 'x')) == std::string(40, 'x') + "…");
    std::string balloons;
    for (int count = 0; count < 40; ++count)
        balloons += "🎈";
    CHECK(looker_name(balloons, "") == balloons);
    CHECK(looker_name(balloons + "x", "") == balloons + "…");
}
