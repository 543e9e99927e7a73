// Bodies of any size through a URL, by curl and by clients that stand still, while the daemon's
// memory stays flat.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/eventually.h"
#include "tests/support/proc.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/web_backend.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr std::size_t mib = 1024 * 1024;
constexpr std::size_t most_growth = 16 * mib;
constexpr std::size_t most_on_the_way = 64 * mib;  // what sockets hold while nobody reads
constexpr std::chrono::milliseconds stillness{200};
constexpr std::size_t much = (is_sanitized ? 256 : 2048) * mib;

// A file that is all hole.
struct ZerosFile {
    TemporaryDirectory directory;
    std::string path = directory.path("zeros");

    explicit ZerosFile(std::size_t size) {
        std::ofstream(path).close();
        REQUIRE(::truncate(path.c_str(), static_cast<off_t>(size)) == 0);
    }
};

struct Transfer {
    Home home;
    std::string url = home.output_of({"connect", "--key", "document-123", "--", test_backend()});
    pid_t worker = home.worker();
    std::size_t peak_before = peak_memory(worker);

    ~Transfer() {
        if (!is_sanitized) CHECK(peak_memory(worker) <= peak_before + most_growth);
    }

    void check_download(const std::string& query, std::size_t size) const {
        CHECK(curl({"--output", "/dev/null", "--write-out", "%{http_code} %{size_download}",
                    fmt::format("{}zeros?n={}{}", url, size, query)}) ==
              fmt::format("200 {}", size));
    }

    void check_upload(const ZerosFile& file, std::vector<std::string> options,
                      std::size_t size) const {
        options.insert(options.end(), {"--upload-file", file.path, url + "count"});
        CHECK(curl(options) == std::to_string(size));
    }

    RawSocket ask(const std::string& path) const {
        RawSocket client = RawSocket::connect(home.version().value().proxy_port);
        const std::string target = url.substr(url.find('/', std::string("http://").size())) + path;
        REQUIRE(client.send(fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", target)));
        return client;
    }

    std::size_t sent() const { return std::stoull(fetch(url + "sent").body); }

    // The backend has begun to send zeros, and can send no more.
    bool is_stuck() const {
        const std::size_t before = sent();
        ::poll(nullptr, 0, static_cast<int>(stillness.count()));
        return before > 0 && sent() == before;
    }
};

}  // namespace

TEST_CASE_FIXTURE(Transfer, "2 GiB come down whole, with a length and in chunks") {
    check_download("", much);
    check_download("&chunked=1", much);
}

TEST_CASE_FIXTURE(Transfer, "2 GiB go up whole, with a length and in chunks") {
    const ZerosFile file(much);
    check_upload(file, {}, much);
    check_upload(file, {"--header", "Transfer-Encoding: chunked"}, much);
}

TEST_CASE_FIXTURE(Transfer, "who reads nothing holds the backend up, not the daemon's memory") {
    constexpr std::size_t size = 512 * mib;
    RawSocket client = ask(fmt::format("zeros?n={}", size));
    CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    REQUIRE(eventually([&] { return is_stuck(); }));
    CHECK(sent() < most_on_the_way);
    std::size_t received = 0;
    for (std::size_t part = 1; part > 0; received += part)
        part = client.read_exactly(std::min(mib, size - received)).size();
    CHECK(received == size);
}
