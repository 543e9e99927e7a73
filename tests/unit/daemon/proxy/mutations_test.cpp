// Requests with random changes in them, through real sockets: whatever the proxy makes of them, the
// backend sees no request that a strict reader, which shares no code with the proxy, does not find
// at the same place in what the client sent.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/proxy_scene.h"

namespace jamsock::test {

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

struct Seen {
    std::string method;
    std::string target;
    std::string body;

    bool operator==(const Seen&) const = default;
};

struct Reading {
    std::vector<Seen> requests;  // that are whole
    std::size_t size = 0;        // of them
    bool is_sound = true;        // what follows them is nothing, or one with a whole head
};

// The grammar of RFC 9112, to the letter. Everything is taken off the begin of `text`.
struct Broken {};
struct Unfinished {};

void require(bool is_sound) {
    if (!is_sound) throw Broken{};
}

std::string_view take(std::string_view& text, std::uint64_t size) {
    if (text.size() < size) throw Unfinished{};
    const std::string_view taken = text.substr(0, size);
    text.remove_prefix(size);
    return taken;
}

// Without its end.
std::string_view take_line(std::string_view& text) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) throw Unfinished{};
    const std::string_view line = take(text, end + 1);
    require(line.ends_with("\r\n"));
    const std::string_view content = line.substr(0, line.size() - 2);
    require(std::ranges::none_of(
        content, [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7F; }));
    return content;
}

bool is_token(std::string_view text) {
    constexpr std::string_view characters =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

std::string in_small_letters(std::string_view text) {
    std::string small(text);
    for (char& c : small)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    return small;
}

std::uint64_t to_number(std::string_view digits, int base) {
    std::uint64_t number = 0;
    const char* const end = digits.data() + digits.size();
    const auto [read_to, failed] = std::from_chars(digits.data(), end, number, base);
    require(failed == std::errc{} && read_to == end);
    return number;
}

// Those of a head or a trailer section, in small letters.
std::vector<std::pair<std::string, std::string>> take_fields(std::string_view& text) {
    std::vector<std::pair<std::string, std::string>> fields;
    for (std::string_view line; !(line = take_line(text)).empty();) {
        const auto colon = line.find(':');
        require(colon != std::string_view::npos && is_token(line.substr(0, colon)));
        std::string value = in_small_letters(line.substr(colon + 1));
        value.erase(0, value.find_first_not_of(" \t"));
        value.erase(value.find_last_not_of(" \t") + 1);
        fields.emplace_back(in_small_letters(line.substr(0, colon)), std::move(value));
    }
    return fields;
}

struct Framing {
    std::uint64_t length = 0;
    bool is_chunked = false;
};

Framing take_head(std::string_view& text, Seen& seen) {
    while (text.starts_with("\r\n"))
        take(text, 2);
    const std::string_view line = take_line(text);
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    require(first != std::string_view::npos && last > first + 1);
    seen.method = line.substr(0, first);
    seen.target = line.substr(first + 1, last - first - 1);
    const bool is_old = line.substr(last) == " HTTP/1.0";
    require(is_old || line.substr(last) == " HTTP/1.1");
    require(is_token(seen.method) && seen.target.find_first_of(" \t") == std::string::npos);

    Framing framing;
    int framings = 0;
    int hosts = 0;
    for (const auto& [name, value] : take_fields(text)) {
        hosts += name == "host";
        framings += name == "content-length" || name == "transfer-encoding";
        if (name == "content-length") framing.length = to_number(value, 10);
        if (name != "transfer-encoding") continue;
        require(value == "chunked" && !is_old);
        framing.is_chunked = true;
    }
    require(framings <= 1 && (hosts == 1 || (hosts == 0 && is_old)));
    return framing;
}

std::string take_body(std::string_view& text, Framing framing) {
    std::string body;
    if (!framing.is_chunked) return body.assign(take(text, framing.length));
    while (true) {
        const std::string_view line = take_line(text);
        const std::uint64_t size = to_number(line.substr(0, line.find(';')), 16);
        if (size == 0) break;
        body += take(text, size);
        require(take_line(text).empty());
    }
    take_fields(text);
    return body;
}

Reading read_strictly(std::string_view text) {
    Reading reading;
    const std::size_t all = text.size();
    try {
        while (!text.empty()) {
            Seen seen;
            reading.is_sound = false;
            const Framing framing = take_head(text, seen);
            reading.is_sound = true;
            seen.body = take_body(text, framing);
            reading.requests.push_back(std::move(seen));
            reading.size = all - text.size();
        }
    } catch (const Unfinished&) {
    } catch (const Broken&) {
        reading.is_sound = false;
    }
    return reading;
}

// Those that a proxy may forward: with the token, which the backend does not see.
std::vector<Seen> to_forward(std::vector<Seen> requests, const std::string& token) {
    const std::string prefix = "/" + token;
    std::erase_if(requests, [&](Seen& request) {
        if (!request.target.starts_with(prefix)) return true;
        request.target.erase(0, prefix.size());
        if (!request.target.starts_with('/')) request.target.insert(0, 1, '/');
        return false;
    });
    return requests;
}

// Answers whatever requests come, on one connection after the other, and remembers them.
class RecordingBackend {
  public:
    explicit RecordingBackend(const RawListener& listener)
        : listener_(listener), thread_([this] { run(); }) {}
    RecordingBackend(const RecordingBackend&) = delete;
    RecordingBackend& operator=(const RecordingBackend&) = delete;
    ~RecordingBackend() { stop(); }

    // Since the last call.
    std::vector<Seen> requests() {
        const std::lock_guard lock(mutex_);
        return std::exchange(requests_, {});
    }
    // Once all its connections have ended: what came on them and is neither a request nor the begin
    // of a body.
    const std::vector<std::string>& unsound() {
        stop();
        return unsound_;
    }

  private:
    void stop() {
        is_stopping_ = true;
        if (thread_.joinable()) thread_.join();
    }
    void run() {
        while (!is_stopping_) {
            if (listener_.has_client(10ms)) serve(listener_.accept());
        }
    }
    void serve(RawSocket client) {
        std::string bytes;
        for (std::string some; !(some = client.read_some()).empty();) {
            const Reading reading = read_strictly(bytes += some);
            bytes.erase(0, reading.size);
            remember(reading.requests);
            for (std::size_t i = 0; i < reading.requests.size(); ++i)
                client.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        if (!read_strictly(bytes).is_sound) unsound_.push_back(bytes);
    }
    void remember(const std::vector<Seen>& requests) {
        const std::lock_guard lock(mutex_);
        requests_.insert(requests_.end(), requests.begin(), requests.end());
    }

    const RawListener& listener_;
    std::atomic<bool> is_stopping_ = false;
    std::mutex mutex_;
    std::vector<Seen> requests_;
    std::vector<std::string> unsound_;  // the thread's, until it has ended
    std::thread thread_;
};

class Mutations {
  public:
    std::string of(std::string text) {
        for (std::size_t changes = 1 + below(2); changes > 0; --changes)
            change(text);
        return text;
    }

  private:
    std::size_t below(std::size_t limit) { return random_() % limit; }

    // Half of them where a line begins.
    std::size_t place(const std::string& text) {
        const std::size_t at = below(text.size() + 1);
        const auto line = below(2) == 0 ? text.find('\n', at) : std::string::npos;
        return line == std::string::npos ? at : line + 1;
    }
    void change(std::string& text) {
        static const std::vector<std::string> fragments{
            "\r\n",
            "\r",
            "\n",
            "\0"s,
            " ",
            "\t",
            ":",
            ";",
            ",",
            "0",
            "5",
            "_",
            "\x80",
            "\r\n\r\n",
            "0\r\n\r\n",
            "Content-Length: 5\r\n",
            "Content-Length:0\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer_Encoding: chunked\r\n",
            "Host: localhost\r\n",
            "Connection: close\r\n",
            "Connection: Content-Length, Host\r\n",
            "X-A: b\r\n",
        };
        const std::size_t at = place(text);
        switch (below(4)) {
            case 0:
                text.insert(at, fragments[below(fragments.size())]);
                break;
            case 1:
                text.erase(at, 1 + below(8));
                break;
            case 2:
                if (at < text.size()) text[at] = static_cast<char>(below(256));
                break;
            case 3:
                text.insert(at, text.substr(place(text), below(40)));
                break;
        }
    }

    std::mt19937 random_{5};
};

std::size_t count(const std::string& text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

}  // namespace

TEST_CASE("of requests with random changes the backend sees what a strict reader finds, or none") {
    TestProxy test;
    RecordingBackend backend(test.backend.listener);
    Mutations mutations;
    const std::vector<std::string> sound{
        test.get("/a?b", "X-A: c\r\nX-B:d\r\n"),
        test.post("Content-Length: 5\r\nX-A: b\r\n") + "hello",
        test.post("Transfer-Encoding: chunked\r\n") +
            "5;a=\"b\"\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n",
        test.get("/", "Connection: Upgrade\r\nUpgrade: a\r\n"),
    };
    std::size_t refused = 0;
    std::size_t passed = 0;
    for (int round = 0; round < 1000; ++round) {
        const std::string sent = mutations.of(sound[round % sound.size()]) + test.get("/next");
        CAPTURE(sent);
        RawSocket client = test.connect();
        client.send(sent);
        client.shutdown_sending();
        const std::string answers = client.read_to_end();

        const std::vector<Seen> seen = backend.requests();
        std::vector<Seen> expected = to_forward(read_strictly(sent).requests, test.token);
        REQUIRE(seen.size() <= expected.size());
        expected.resize(seen.size());
        REQUIRE(seen == expected);
        REQUIRE(count(answers, "HTTP/1.1 200 ") == seen.size());
        refused += count(answers, "HTTP/1.1 4");
        passed += seen.size();
    }
    CHECK(refused > 100);
    CHECK(passed > 100);
    test.proxy->stop();
    for (const std::string& bytes : backend.unsound()) {
        CAPTURE(bytes);
        CHECK(bytes.empty());
    }
}

}  // namespace jamsock::test
