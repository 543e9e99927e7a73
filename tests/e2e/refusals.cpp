#include "tests/e2e/refusals.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/runtime_paths.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

namespace jamsock::test {

namespace {

namespace fs = std::filesystem;

void check_words(const std::string& text, const Words& words) {
    INFO(text);
    for (const std::string& word : words) {
        CAPTURE(word);
        CHECK(text.find(word) != std::string::npos);
    }
}

// What a library's or compiler's message would show.
void check_own_words(const std::string& text) {
    INFO(text);
    for (const char* foreign : {"json.exception", "nlohmann", "what()", "std::", JAMSOCK_BUILD_DIR,
                                "boost", ".cpp", "SQLITE"}) {
        CAPTURE(foreign);
        CHECK(text.find(foreign) == std::string::npos);
    }
}

}  // namespace

void check_refused(const RunResult& result, int exit_code, const Words& words,
                   const std::string& hint) {
    INFO(result.err);
    CHECK(result.exit_code == exit_code);
    CHECK(result.out.empty());
    const std::string sentence = result.err.substr(0, result.err.find('\n'));
    const bool ends = sentence.ends_with('.') || sentence.ends_with('?');
    CHECK_MESSAGE(ends, sentence);
    check_words(sentence, words);
    if (!hint.empty()) check_words(result.err, {"\nTry: " + hint});
}

Error check_refused(const Home& home, const Answer& answer, ErrorCode code, const Words& words) {
    INFO(answer.body);
    CHECK(answer.status == info(code).http_status);
    Error error = error_from_json(answer.body, answer.status);
    CHECK(error.code == code);
    CHECK(error.message.ends_with('.'));
    check_words(error.message, words);
    check_own_words(answer.body);

    const auto json = nlohmann::json::parse(answer.body, nullptr, false);
    REQUIRE(json.is_object());
    const auto& fields = json.at("error");
    CHECK(fields.at("status") == std::string(http_reason(answer.status)));
    const std::string id = fields.at("id");
    CHECK_FALSE(id.empty());
    const std::string log = home.path() + "/" + state_file::log;
    CHECK(eventually(
        [&] { return content_of(log).find("request " + id + " failed") != std::string::npos; }));
    return error;
}

RunResult run_daemon(const RunOptions& options, const std::vector<std::string>& arguments) {
    std::vector<std::string> argv{JAMSOCK_BUILD_DIR "/bin/jamsockd"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run(argv, options);
}

std::map<std::string, std::string> contents_of(const std::string& directory) {
    std::map<std::string, std::string> contents;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
        contents[entry.path()] = entry.is_regular_file() ? content_of(entry.path()) : "";
    }
    return contents;
}

std::string recorded_in(const std::string& database) {
    const SQLite::Database open(database, SQLite::OPEN_READONLY, 5000);
    SQLite::Statement query(open,
                            "SELECT (SELECT count(*) FROM backend), "
                            "(SELECT count(*) FROM backend_status), "
                            "(SELECT count(*) FROM held_key), "
                            "(SELECT max(token) FROM fencing)");
    REQUIRE(query.executeStep());
    return fmt::format("{} {} {} {}", query.getColumn(0).getInt64(), query.getColumn(1).getInt64(),
                       query.getColumn(2).getInt64(), query.getColumn(3).getInt64());
}

Bystander::Bystander()
    : key(home.own_key("bystander")),
      url(home.output_of({"connect", "--key", key})),
      id_(home.keys().at(0).backend_id),
      pid_(home.backend(id_).pid.value()),
      worker_(home.worker()),
      recorded_(recorded_in(file(state_file::database))) {
}

void Bystander::check_alone() const {
    REQUIRE(eventually([&] { return home.keys().size() <= 1; }));
    const auto keys = home.keys();
    REQUIRE(keys.size() == 1);
    CHECK(keys[0].key->str() == key);
    CHECK(keys[0].backend_id == id_);
    CHECK(keys[0].status == Status::ready);
    CHECK(home.backend(id_).pid == pid_);
    CHECK(is_running(pid_));
    CHECK(fetch(url).status == 200);
    CHECK(home.worker() == worker_);
    CHECK(keepers_of(home.path()).size() == 1);
    // What ended is moved away in the background.
    CHECK(eventually([&] {
        const fs::directory_iterator directories(file(state_file::backends));
        return std::distance(begin(directories), end(directories)) == 1;
    }));
}

void Bystander::check() const {
    check_alone();
    CHECK(recorded_in(file(state_file::database)) == recorded_);
}

}  // namespace jamsock::test
