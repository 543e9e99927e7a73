#include "daemon/http/chunked.h"

#include <doctest/doctest.h>

#include <string>

using namespace std::string_literals;

namespace jamsock {

namespace {

using Pass = ChunkedReader::Pass;

struct Outcome {
    std::string passed;
    std::string trailers;  // "name=value;" each
    std::string rest;      // of the input, behind the body
    std::size_t slices = 0;
    bool is_done = false;
    bool is_malformed = false;

    bool operator==(const Outcome&) const = default;
};

// What comes of the input when it arrives in pieces that end where `ends` says.
Outcome feed(Pass pass, const std::string& input, const std::vector<std::size_t>& ends) {
    ChunkedReader reader(pass);
    Outcome outcome;
    std::size_t taken = 0;
    for (const std::size_t end : ends) {
        // Each piece in memory of its own: what goes beyond it is seen by the sanitizer.
        const std::string piece = input.substr(taken, end - taken);
        std::vector<std::string_view> slices;
        const auto step = reader.read(piece, slices);
        for (const std::string_view slice : slices)
            outcome.passed += slice;
        outcome.slices += slices.size();
        for (const Field& field : reader.trailers())
            outcome.trailers.append(field.name).append("=").append(field.value).append(";");
        taken += step.consumed;
        outcome.is_malformed = step.is_malformed;
        if (step.is_malformed || reader.is_done()) break;
    }
    outcome.is_done = reader.is_done();
    outcome.rest = input.substr(taken);
    return outcome;
}

Outcome feed_whole(Pass pass, const std::string& input) {
    return feed(pass, input, {input.size()});
}

std::vector<std::size_t> each_byte(std::size_t size) {
    std::vector<std::size_t> ends;
    for (std::size_t end = 1; end <= size; ++end)
        ends.push_back(end);
    return ends;
}

const std::vector<std::string> bodies{
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\nNEXT",
    "5\r\nhello\r\nA\r\n, world...\r\n000\r\n\r\n",
    "5;x=\"y\"\r\nhello\r\na;b\r\n\r\n\r\n\r\n\r\n\r\n\r\n0;c\r\nT: x\r\nU:y\r\n\r\nNEXT",
    "0000000000000003\r\nabc\r\n0\r\n\r\n",
    "3\r\nabcX\r\n",
    "3\r\nabc\r\nq\r\n",
    "3\r\nabc\r\n0\r\nT : x\r\n\r\n",
};

}  // namespace

TEST_CASE("ordinary chunks pass as one slice, framing and all but the last chunk") {
    const Outcome outcome =
        feed_whole(Pass::framing_and_data, "5\r\nhello\r\nA\r\n, world...\r\n0\r\n\r\nNEXT");
    CHECK(outcome.passed == "5\r\nhello\r\nA\r\n, world...\r\n");
    CHECK(outcome.slices == 1);
    CHECK(outcome.is_done);
    CHECK(outcome.rest == "NEXT");
    CHECK(feed_whole(Pass::framing_and_data, "0\r\n\r\n") == Outcome{.is_done = true});
}

TEST_CASE("the data alone passes to who reads until the end") {
    const Outcome outcome =
        feed_whole(Pass::data, "5\r\nhello\r\nA\r\n, world...\r\n0\r\n\r\nNEXT");
    CHECK(outcome.passed == "hello, world...");
    CHECK(outcome.slices == 2);
    CHECK(outcome.is_done);
    CHECK(outcome.rest == "NEXT");
}

TEST_CASE("extensions are cut out") {
    const std::string input = "5;x=\"y\";z\r\nhello\r\n2;\xC3\xB6\r\nab\r\n0;q\r\n\r\n";
    const Outcome outcome = feed_whole(Pass::framing_and_data, input);
    CHECK(outcome.passed == "5\r\nhello\r\n2\r\nab\r\n");
    CHECK(outcome.slices == 3);
    CHECK(outcome.is_done);
    CHECK(feed_whole(Pass::data, input).passed == "helloab");
}

TEST_CASE("the trailer section is offered when it is whole") {
    const std::string input = "0\r\nA: b\r\nC:\r\n\r\nNEXT";
    const Outcome outcome = feed_whole(Pass::framing_and_data, input);
    CHECK(outcome.trailers == "A=b;C=;");
    CHECK(outcome.passed.empty());
    CHECK(outcome.rest == "NEXT");

    ChunkedReader reader(Pass::data);
    std::vector<std::string_view> slices;
    CHECK(reader.read("0\r\nA: b\r\n", slices).consumed == 3);
    CHECK_FALSE(reader.is_done());
    CHECK(reader.read("A: b\r\n\r\n", slices).consumed == 8);
    CHECK(reader.is_done());
    CHECK(reader.trailers().size() == 1);
    CHECK(reader.read("more", slices).consumed == 0);
    CHECK(reader.trailers().empty());
    CHECK(slices.empty());
}

TEST_CASE("data passes on before its chunk is whole") {
    ChunkedReader reader(Pass::framing_and_data);
    std::vector<std::string_view> slices;
    CHECK(reader.read("8\r\nha", slices).consumed == 5);
    REQUIRE(slices.size() == 1);
    CHECK(slices[0] == "8\r\nha");
    slices.clear();
    CHECK(reader.read("lf", slices).consumed == 2);
    REQUIRE(slices.size() == 1);
    CHECK(slices[0] == "lf");
}

TEST_CASE("slices go behind those that are there") {
    const std::string input = "1\r\na\r\n2;x\r\nbc\r\n";
    std::vector<std::string_view> slices{"before"};
    ChunkedReader(Pass::framing_and_data).read(input, slices);
    CHECK(slices == std::vector<std::string_view>{"before", "1\r\na\r\n2", "\r\nbc\r\n"});
}

TEST_CASE("where the input is cut makes no difference") {
    for (const Pass pass : {Pass::framing_and_data, Pass::data}) {
        for (const std::string& input : bodies) {
            CAPTURE(input);
            Outcome whole = feed_whole(pass, input);
            whole.slices = 0;
            const auto check = [&](const std::vector<std::size_t>& ends) {
                Outcome outcome = feed(pass, input, ends);
                outcome.slices = 0;
                return outcome == whole;
            };
            CHECK(check(each_byte(input.size())));
            for (std::size_t first = 0; first <= input.size(); ++first) {
                for (std::size_t second = first; second <= input.size(); ++second) {
                    CAPTURE(first);
                    CAPTURE(second);
                    REQUIRE(check({first, second, input.size()}));
                }
            }
        }
    }
}

TEST_CASE("broken chunks are malformed, as soon as it shows") {
    for (const std::string& input : {"x"s,
                                     "g"s,
                                     "5\n"s,
                                     "5\rh"s,
                                     "5\r\r"s,
                                     "\r"s,
                                     "\n"s,
                                     " 5"s,
                                     "5 "s,
                                     "5\t"s,
                                     "+5"s,
                                     "-5"s,
                                     "0x5"s,
                                     "5,"s,
                                     "5\0"s,
                                     ";a"s,
                                     "5 ;a"s,
                                     "5; a"s,
                                     "5;a b"s,
                                     "5;a\n"s,
                                     "5;a\rb"s,
                                     "5;a\0"s,
                                     "5;a\x7F"s,
                                     "00000000000000005"s,
                                     "11111111111111111"s,
                                     "8000000000000000\r\n"s,
                                     "ffffffffffffffff\r\n"s,
                                     "1\r\nab"s,
                                     "1\r\na\n"s,
                                     "1\r\na\rb"s,
                                     "1\r\na0\r\n\r\n"s,
                                     "0\r\n A: b\r\n\r\n"s,
                                     "0\r\n\n"s,
                                     "0\r\nA: b\n"s,
                                     "0\r\nA: b\r\nC\r\n\r\n"s,
                                     "0\r\nA : b\r\n\r\n"s,
                                     "0\r\nA: b\r\n c\r\n\r\n"s,
                                     "0\r\nA: b\rc\r\n\r\n"s,
                                     "0\r\nA: \0\r\n\r\n"s}) {
        CAPTURE(input);
        for (const Pass pass : {Pass::framing_and_data, Pass::data}) {
            CHECK(feed_whole(pass, input).is_malformed);
            CHECK(feed(pass, input, each_byte(input.size())).is_malformed);
        }
    }
}

TEST_CASE("what is sound so far is not malformed") {
    for (const std::string input :
         {"", "5", "5\r", "5;", "5;a", "5;a\r", "5\r\nhello", "1\r\na\r", "0", "0\r", "0\r\n",
          "0\r\n\r", "0\r\nA", "0\r\nA: b\r\n\r", "7fffffffffffffff\r\n", "FFffFFf\r\n"}) {
        CAPTURE(input);
        const Outcome outcome = feed_whole(Pass::framing_and_data, input);
        CHECK_FALSE(outcome.is_malformed);
        CHECK_FALSE(outcome.is_done);
    }
}

TEST_CASE("extensions and trailers are limited") {
    const auto with_extension = [](std::size_t size) {
        return feed_whole(Pass::data, "1;" + std::string(size - 1, 'x')).is_malformed;
    };
    CHECK_FALSE(with_extension(1024));
    CHECK(with_extension(1025));

    const auto with_trailers = [](std::size_t count) {
        std::string input = "0\r\n";
        for (std::size_t i = 0; i < count; ++i)
            input += "A: b\r\n";
        return feed_whole(Pass::data, input + "\r\n").is_malformed;
    };
    CHECK_FALSE(with_trailers(most_fields));
    CHECK(with_trailers(most_fields + 1));

    const auto of_size = [](std::size_t size) {
        return "0\r\nA: " + std::string(size - 7, 'x') + "\r\n\r\n";
    };
    CHECK(feed_whole(Pass::data, of_size(longest_head)).is_done);
    CHECK(feed_whole(Pass::data, of_size(longest_head + 1)).is_malformed);
    CHECK(feed_whole(Pass::data, "0\r\n" + std::string(longest_head + 1, 'A')).is_malformed);
}

TEST_CASE("chunks with any byte put in, anywhere, are refused or pass on with one meaning") {
    const std::string sound = "3;x=\"y\"\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n";
    REQUIRE(feed_whole(Pass::data, sound).is_done);
    for (std::size_t at = 0; at <= sound.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string changed = sound;
            changed.insert(at, 1, static_cast<char>(byte));
            const Outcome whole = feed_whole(Pass::framing_and_data, changed);
            if (!whole.is_done) continue;
            CAPTURE(changed);
            const std::string passed = whole.passed + "0\r\n\r\n";
            const Outcome again = feed_whole(Pass::framing_and_data, passed);
            REQUIRE(again.is_done);
            REQUIRE(again.passed == whole.passed);
            REQUIRE(again.rest.empty());
            REQUIRE(passed.find(';') == std::string::npos);
            REQUIRE(feed_whole(Pass::data, passed).passed ==
                    feed_whole(Pass::data, changed).passed);
        }
    }
}

}  // namespace jamsock
