#include "daemon/demo/document.h"

#include <doctest/doctest.h>

using namespace jamsock::demo;
using Outcome = Document::Outcome;

namespace {

Edit typed(const std::string& by, std::uint64_t number, std::size_t at, std::u16string inserted) {
    return {by, number, {{at, 0, std::move(inserted)}}};
}

}  // namespace

TEST_CASE("an edit makes a version") {
    Document document;
    CHECK(document.version() == 0);
    CHECK(document.apply(typed("ann", 1, 0, u"hello"), 0) == Outcome::applied);
    CHECK(document.apply({"ann", 2, {{0, 1, u"J"}, {5, 0, u"!"}}}, 1) == Outcome::applied);
    CHECK(document.text() == u"Jello!");
    CHECK(document.version() == 2);
    CHECK(document.edit_after(1).number == 2);
}

TEST_CASE("edits made on the same version both arrive, the earlier one first where they meet") {
    Document document;
    document.apply(typed("ann", 1, 0, u"one two"), 0);
    CHECK(document.apply(typed("ann", 2, 3, u"A"), 1) == Outcome::applied);
    CHECK(document.apply(typed("bob", 1, 3, u"B"), 1) == Outcome::applied);
    CHECK(document.apply({"eve", 1, {{4, 3, u"three"}}}, 1) == Outcome::applied);
    CHECK(document.text() == u"oneAB three");
    CHECK(document.edit_after(2).splices.front() == Splice{4, 0, u"B"});
}

TEST_CASE("an edit that is sent twice counts once") {
    Document document;
    CHECK(document.apply(typed("ann", 1, 0, u"x"), 0) == Outcome::applied);
    CHECK(document.apply(typed("ann", 1, 0, u"x"), 0) == Outcome::known);
    CHECK(document.apply(typed("ann", 1, 0, u"x"), 1) == Outcome::known);
    CHECK(document.text() == u"x");
    CHECK(document.last_number_of("ann") == 1);
    CHECK(document.last_number_of("bob") == 0);

    std::uint64_t number = 0;
    while (document.remembers(0)) {
        REQUIRE(document.apply(typed("bob", ++number, 0, u"y"), document.version()) ==
                Outcome::applied);
    }
    CHECK(document.last_number_of("ann") == 1);
    CHECK(document.apply(typed("ann", 1, 0, u"x"), document.version()) == Outcome::known);
    CHECK(document.apply(typed("ann", 2, 0, u"x"), document.version()) == Outcome::applied);
}

TEST_CASE("the last numbers of many windows are remembered, the longest unheard forgotten first") {
    Document document;
    const auto hear = [&](int window, std::uint64_t number) {
        REQUIRE(document.apply(typed("w" + std::to_string(window), number, 0, u"x"),
                               document.version()) == Outcome::applied);
    };
    int windows = 2;
    hear(0, 1);
    hear(1, 1);
    hear(0, 2);
    while (document.last_number_of("w1") == 1)
        hear(windows++, 1);
    CHECK(windows > 1000);
    CHECK(document.last_number_of("w0") == 2);
    CHECK(document.last_number_of("w2") == 1);
    hear(windows, 1);
    CHECK(document.last_number_of("w0") == 0);
    CHECK(document.last_number_of("w2") == 1);
}

TEST_CASE("an edit that fits no text is refused whole") {
    Document document;
    document.apply(typed("ann", 1, 0, u"🎈"), 0);
    CHECK(document.apply({"ann", 2, {{0, 0, u"x"}, {9, 0, u"y"}}}, 1) == Outcome::invalid);
    CHECK(document.apply(typed("ann", 2, 1, u"x"), 1) == Outcome::invalid);
    CHECK(document.apply(typed("ann", 2, 0, u"x"), 5) == Outcome::invalid);
    CHECK(document.apply({"ann", 2, std::vector<Splice>(most_splices + 1)}, 1) == Outcome::invalid);
    CHECK(document.text() == u"🎈");
    CHECK(document.version() == 1);
}

TEST_CASE("the text may have its full length, and no unit more") {
    Document document;
    const std::u16string full(longest_text, u'x');
    CHECK(document.apply(typed("ann", 1, 0, full), 0) == Outcome::applied);
    CHECK(document.apply(typed("ann", 2, 0, u"y"), 1) == Outcome::too_long);
    CHECK(document.version() == 1);
    CHECK(document.apply({"ann", 2, {{0, 0, u"yy"}, {9, 2, u""}}}, 1) == Outcome::applied);
    CHECK(document.text().size() == longest_text);
}

TEST_CASE("what is too old to be remembered is said so") {
    Document document;
    std::uint64_t number = 0;
    while (document.remembers(0)) {
        REQUIRE(document.apply(typed("ann", ++number, 0, u"x"), document.version()) ==
                Outcome::applied);
    }
    CHECK(number > 1000);
    CHECK(document.apply(typed("bob", 1, 0, u"y"), 0) == Outcome::too_old);
    CHECK(document.apply(typed("bob", 1, 0, u"y"), 1) == Outcome::applied);
}

TEST_CASE("what is remembered is bounded in size as well") {
    Document document;
    const std::u16string large(longest_text, u'x');
    for (std::uint64_t number = 1; number < 20; ++number) {
        REQUIRE(document.apply({"ann", number, {{0, document.text().size(), large}}},
                               document.version()) == Outcome::applied);
    }
    CHECK_FALSE(document.remembers(14));
    CHECK(document.remembers(15));
}
