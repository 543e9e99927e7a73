#include "daemon/demo/splice.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace jamsock::demo;

namespace {

std::u16string after(std::u16string text, const Splice& splice) {
    REQUIRE(apply(text, splice));
    return text;
}

std::u16string after(std::u16string text, const std::vector<Splice>& splices) {
    for (const Splice& splice : splices)
        REQUIRE(apply(text, splice));
    return text;
}

// All splices of a text of `size` units that insert one of `insertions`.
std::vector<Splice> all_splices(std::size_t size, const std::vector<std::u16string>& insertions) {
    std::vector<Splice> splices;
    for (std::size_t at = 0; at <= size; ++at) {
        for (std::size_t removed = 0; removed <= size - at; ++removed) {
            for (const std::u16string& inserted : insertions)
                splices.push_back({at, removed, inserted});
        }
    }
    return splices;
}

std::vector<Splice> random_run(std::u16string text, char16_t letter, std::mt19937& random) {
    std::vector<Splice> run;
    for (auto count = random() % 5; count > 0; --count) {
        const std::size_t at = random() % (text.size() + 1);
        const std::size_t removed = random() % (std::min<std::size_t>(text.size() - at, 4) + 1);
        run.push_back({at, removed, std::u16string(random() % 3, letter)});
        text = after(text, run.back());
    }
    return run;
}

}  // namespace

TEST_CASE("a splice removes and inserts at its place") {
    CHECK(after(u"abcd", Splice{1, 2, u"xyz"}) == u"axyzd");
    CHECK(after(u"", Splice{0, 0, u"x"}) == u"x");
    CHECK(after(u"ab", Splice{2, 0, u"x"}) == u"abx");
}

TEST_CASE("a splice beyond the text, or within a character, is refused and changes nothing") {
    const std::u16string text = u"a🎈b";  // the balloon is two units
    for (const Splice& wrong :
         {Splice{5, 0, u"x"}, Splice{4, 1, u""}, Splice{2, 0, u"x"}, Splice{1, 1, u""},
          Splice{2, 1, u"x"}, Splice{1, static_cast<std::size_t>(-1), u""}}) {
        CAPTURE(wrong.at);
        std::u16string changed = text;
        CHECK_FALSE(apply(changed, wrong));
        CHECK(changed == text);
    }
    CHECK(after(text, Splice{1, 2, u"🎉"}) == u"a🎉b");
}

TEST_CASE("two splices of one text give the same text in both orders, and lose no insertion") {
    const std::u16string text = u"abcd";
    for (const Splice& mine : all_splices(text.size(), {u"", u"x"})) {
        for (const Splice& theirs : all_splices(text.size(), {u"", u"yz"})) {
            for (const First first : {First::mine, First::theirs}) {
                const First seen_by_them = first == First::mine ? First::theirs : First::mine;
                const std::u16string theirs_first =
                    after(after(text, theirs), transformed(mine, theirs, first));
                const std::u16string mine_first =
                    after(after(text, mine), transformed(theirs, mine, seen_by_them));
                CAPTURE(mine.at);
                CAPTURE(mine.removed);
                CAPTURE(theirs.at);
                CAPTURE(theirs.removed);
                REQUIRE(theirs_first == mine_first);
                REQUIRE(theirs_first.find(mine.inserted) != std::u16string::npos);
                REQUIRE(theirs_first.find(theirs.inserted) != std::u16string::npos);
                for (std::size_t unit = 0; unit < text.size(); ++unit) {
                    const auto removes = [&](const Splice& splice) {
                        return splice.at <= unit && unit < splice.at + splice.removed;
                    };
                    const bool is_left = theirs_first.find(text[unit]) != std::u16string::npos;
                    REQUIRE(is_left == (!removes(mine) && !removes(theirs)));
                }
            }
        }
    }
}

TEST_CASE("insertions at one place stand in the order asked for") {
    const Splice mine{1, 0, u"m"};
    const Splice theirs{1, 0, u"t"};
    CHECK(after(after(u"ab", theirs), transformed(mine, theirs, First::theirs)) == u"atmb");
    CHECK(after(after(u"ab", theirs), transformed(mine, theirs, First::mine)) == u"amtb");
}

TEST_CASE("runs of splices give the same text in both orders") {
    std::mt19937 random(7);
    const std::u16string text = u"the quick brown fox";
    for (int round = 0; round < 2000; ++round) {
        std::vector<Splice> mine = random_run(text, u'X', random);
        std::vector<Splice> theirs = random_run(text, u'Y', random);
        const std::u16string after_mine = after(text, mine);
        const std::u16string after_theirs = after(text, theirs);
        pass(mine, theirs);
        REQUIRE(after(after_theirs, mine) == after(after_mine, theirs));
    }
}
