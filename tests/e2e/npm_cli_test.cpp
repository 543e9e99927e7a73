// The npm package `jamsocket`, unchanged, against this daemon: what it prints and how it ends
// follow from its own source.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <regex>

#include "tests/support/eventually.h"
#include "tests/support/npm_cli.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr std::chrono::seconds cli_patience{60};

std::string repeated(const std::string& text, int times) {
    std::string all;
    for (int count = 0; count < times; ++count)
        all += text;
    return all;
}

// A service `doc`, and a CLI that is logged in.
struct Doc {
    Doc() {
        home.output_of({"service", "create", "doc", "--", test_backend()});
        REQUIRE(cli.login().exit_code == 0);
    }

    BackendId connect(std::vector<std::string> options = {}) const {
        options.insert(options.begin(), {"connect", "doc"});
        const BackendId id = backend_in(cli.run(options));
        REQUIRE(eventually([&] { return status_of(id) == Status::ready; }));
        return id;
    }
    Status status_of(const BackendId& id) const { return home.backend(id).statuses.back().status; }

    Home home;
    NpmCli cli{home};
};

// What a command that succeeds prints.
void check_output(const RunResult& result, const std::string& out) {
    CHECK(result.out == out);
    CHECK(result.err == "");
    CHECK(result.exit_code == 0);
}

// What one that the daemon refuses prints: `what` is the status, the code and the sentence.
void check_refused(const RunResult& result, const std::string& what, const std::string& code) {
    CHECK(result.out == "");
    CHECK(result.err ==
          fmt::format("    HTTPError: jamsocket: {} (id: ID)\n    Code: {}\n", what, code));
    CHECK(result.exit_code == 1);
}

std::string connected(const BackendId& id, const std::string& status,
                      const std::string& spawned = {}) {
    return fmt::format(
        "Backend spawned!\n"
        "backend id:      {0}\n"
        "backend status:  {1}\n"
        "backend url:     URL\n"
        "status url:      API/v2/backend/{0}/status\n"
        "ready url:       API/ready/{0}/TOKEN/\n"
        "{2}"
        "dashboard:       https://app.127.0.0.1/backend/{0}\n",
        id.str(), status, spawned.empty() ? "" : fmt::format("spawned:         {}\n", spawned));
}

// A table's columns are as wide as its widest cell.
std::string squeezed(const std::string& table) {
    const std::string lines = std::regex_replace(table, std::regex("(?:─)+"), "─");
    return std::regex_replace(lines, std::regex(" +"), " ");
}

}  // namespace

TEST_CASE("login takes the API's token, once; another token is told") {
    const Home home;
    const NpmCli cli(home);
    check_output(cli.login(), "\nLogged in using API token as \"local\"\n");
    CHECK(content_of(cli.path(".jamsocket/config.json")).find(cli.token()) != std::string::npos);
    check_output(cli.login(),
                 "\nYou are already logged in as account local. To log into a different account, "
                 "run jamsocket logout first.\n\n");
    check_output(cli.run({"logout"}), "Logged out\n");

    const RunResult wrong = cli.run({"login", "--token", "local.wrong"});
    CHECK(wrong.out == "");
    CHECK(wrong.err == "Your credentials may have expired. Please try logging in again.\n");
    CHECK(wrong.exit_code == 1);
    CHECK(cli.run({"service", "list"}).err ==
          "    Error: No user credentials found. Log in with jamsocket login\n");
}

TEST_CASE("services are made, listed, shown and deleted") {
    const Doc doc;
    check_output(doc.cli.run({"service", "create", "notes"}), "Created service: notes\n");
    check_refused(doc.cli.run({"service", "create", "notes"}),
                  "Conflict - Conflict: There is a service 'notes' already.", "Conflict");
    check_output(doc.cli.run({"service", "list"}), "default\ndoc\nnotes\n");
    check_output(doc.cli.run({"service", "info", "notes"}),
                 "Service: notes\n"
                 "  account: local\n"
                 "  created: AGE ago\n"
                 "  last spawn: -\n"
                 "  last image push: -\n"
                 "  dashboard: https://app.127.0.0.1/service/local/notes\n"
                 "  cluster: local\n"
                 "  image tag/digest: \n\n");
    check_output(doc.cli.run({"service", "delete", "--yes", "notes"}),
                 "\nThe service notes has no container images, and has never been spawned.\n"
                 "(For more information about this service, run `jamsocket service info notes`.)\n"
                 "\n"
                 "Deleted service: notes\n");
    check_refused(doc.cli.run({"service", "info", "notes"}),
                  "Not Found - ServiceNotFound: There is no service 'notes'.", "ServiceNotFound");
    check_output(doc.cli.run({"service", "list"}), "default\ndoc\n");
}

TEST_CASE("a service shows its environments, and stays while it has backends") {
    const Doc doc;
    check_output(doc.cli.run({"service", "create", "doc/beta"}), "Created service: doc/beta\n");
    const BackendId id = backend_in(doc.cli.run({"connect", "doc/beta"}));
    CHECK(doc.home.backend(id).service.environment() == "beta");
    check_output(doc.cli.run({"service", "info", "doc"}),
                 "Service: doc\n"
                 "  account: local\n"
                 "  created: AGE ago\n"
                 "  last spawn: AGE ago\n"
                 "  last image push: -\n"
                 "  dashboard: https://app.127.0.0.1/service/local/doc\n"
                 "\n"
                 "Environments:\n"
                 "  default\n"
                 "    cluster: local\n"
                 "    image tag/digest: \n"
                 "    last spawned: -\n"
                 "  beta\n"
                 "    cluster: local\n"
                 "    image tag/digest: \n"
                 "    last spawned: AGE ago\n\n");
    const RunResult kept = doc.cli.run({"service", "delete", "-y", "doc"});
    CHECK(kept.err.starts_with("    HTTPError: jamsocket: Conflict - Conflict: "));
    CHECK(kept.exit_code == 1);
}

TEST_CASE("services run commands: there are no images to list or to use") {
    const Doc doc;
    check_output(doc.cli.run({"service", "images", "doc"}),
                 "No images found for this service.\n\n");
    check_refused(
        doc.cli.run({"service", "use-image", "doc", "-i", "latest"}),
        "Not Implemented - Unsupported: A service here runs a command and has no image: give it a "
        "'command'.",
        "Unsupported");
}

TEST_CASE("a key of any characters is connected to, once made and then found") {
    const Doc doc;
    for (const std::string& key : {std::string("one"), std::string("/docs/read me"),
                                   std::string("döc-é"), std::string("😀"), repeated("😀", 128)}) {
        CAPTURE(key);
        const RunResult unheld = doc.cli.run({"connect", "doc", "--no-spawn", "-k", key});
        check_refused(
            unheld,
            fmt::format("Conflict - KeyUnheldNoSpawnConfig: No backend holds the key '{}'.", key),
            "KeyUnheldNoSpawnConfig");

        const RunResult made = doc.cli.run({"connect", "doc", "-k", key});
        const BackendId id = backend_in(made);
        check_output(made, connected(id, "scheduled", "true"));
        CHECK(doc.home.backend(id).key->str() == key);
        REQUIRE(eventually([&] { return doc.status_of(id) == Status::ready; }));
        check_output(doc.cli.run({"connect", "doc", "-k", key}), connected(id, "ready", "false"));
        check_output(doc.cli.run({"connect", "doc", "--no-spawn", "-k", key}),
                     connected(id, "ready", "false"));
    }
    CHECK(doc.home.keys().size() == 5);
}

TEST_CASE("no key: always a new backend; an impossible key or cluster: none") {
    const Doc doc;
    const RunResult first = doc.cli.run({"connect", "doc"});
    check_output(first, connected(backend_in(first), "scheduled"));
    CHECK(doc.connect() != backend_in(first));
    check_refused(doc.cli.run({"connect", "doc", "-k", ""}),
                  "Bad Request - InvalidKey: The key is empty; a key has 1 to 128 characters.",
                  "InvalidKey");
    CHECK(doc.cli.run({"connect", "doc", "-k", repeated("é", 129)})
              .err.ends_with("    Code: InvalidKey\n"));
    CHECK(
        doc.cli.run({"connect", "doc", "-c", "mars"}).err.ends_with("    Code: InvalidRequest\n"));
    CHECK(doc.cli.run({"connect", "doc", "-e", "PORT=1"})
              .err.ends_with("    Code: ReservedEnvVar\n"));
    CHECK(doc.home.keys().size() == 2);
}

TEST_CASE("what connect is given reaches the backend") {
    const Doc doc;
    const RunResult made =
        doc.cli.ask({"connect", "doc", "-k",           "one",   "-e",
                     "WHO=Zoë", "-e",  "LINES=a\nb=c", "-i",    "777",
                     "-l",      "900", "-c",           "local", "-t",
                     "blue",    "-u",  "zoe",          "-a",    R"({"name":"Zoë 😀","level":3})"});
    const BackendId id = backend_in(made);
    REQUIRE(eventually([&] { return doc.status_of(id) == Status::ready; }));
    const BackendInfo backend = doc.home.backend(id);
    CHECK(backend.max_idle_seconds == 777);
    REQUIRE(backend.expires_at);
    CHECK(std::abs(*backend.expires_at - backend.created_at - 900'000) < 10'000);

    const std::string environment = fetch(url_in(made) + "env").body;
    CHECK(environment.find("WHO=Zoë\n") != std::string::npos);
    CHECK(environment.find("LINES=a\nb=c\n") != std::string::npos);
    const std::string head = fetch(url_in(made) + "head").body;
    CAPTURE(head);
    CHECK(head.find("x-verified-username: zoe\r\n") != std::string::npos);
    CHECK(head.find(R"("name":"Zo\u00eb \ud83d\ude00")") != std::string::npos);

    CHECK(backend_in(doc.cli.run({"connect", "doc", "-k", "one", "-t", "blue"})) == id);
    CHECK(doc.cli.run({"connect", "doc", "-k", "one", "-t", "green"})
              .err.ends_with("    Code: KeyHeld\n"));
}

TEST_CASE("the command of the first version of the API works as well") {
    const Doc doc;
    const RunResult made = doc.cli.run({"spawn", "doc", "-l", "döc", "-g", "777", "-e", "A=b"});
    CHECK(made.exit_code == 0);
    const BackendId id = doc.home.keys().at(0).backend_id;
    CHECK(doc.home.keys().at(0).key->str() == "döc");
    CHECK(doc.home.backend(id).max_idle_seconds == 777);
    check_output(made, fmt::format("Backend spawned!\n"
                                   "backend ID:      {0}\n"
                                   "backend status:  Loading\n"
                                   "backend url:     URL\n"
                                   "status url:      API/backend/{0}/status\n"
                                   "ready url:       API/ready/{0}/TOKEN/\n"
                                   "spawned:         true\n"
                                   "dashboard:       https://app.127.0.0.1/backend/{0}\n",
                                   id.str()));
}

TEST_CASE("running backends are listed, with and without a key") {
    const Doc doc;
    check_output(doc.cli.run({"backend", "list"}), "No running backends found.\n\n");
    const std::string key = repeated("😀", 128);
    const BackendId keyed = doc.connect({"-k", key});
    const BackendId keyless = doc.connect();
    const RunResult list = doc.cli.run({"backend", "list"});
    const std::string table = squeezed(list.out);
    CAPTURE(table);
    CHECK(
        table.starts_with("\nFound the following running backends:\n\n"
                          " ID Created Account Service Status Key (aka Lock) \n"
                          " ─ ─ ─ ─ ─ ─ \n"));
    const auto row = [](const BackendId& id, const std::string& of_key) {
        return fmt::format("\n {} AGE ago local doc ready (AGE) {}\n", id.str(), of_key);
    };
    CHECK(table.find(row(keyed, key + " ")) != std::string::npos);
    CHECK(table.find(row(keyless, "")) != std::string::npos);
    CHECK(std::ranges::count(table, '\n') == 8);
    CHECK(list.exit_code == 0);
}

TEST_CASE("a backend is shown with all its statuses, also after its end") {
    const Doc doc;
    const BackendId id = doc.connect({"-k", "döc"});
    const std::string running = fmt::format(
        "Info for backend: {0}\n"
        "created:      TIME (AGE ago)\n"
        "service:      doc\n"
        "account:      local\n"
        "cluster:      local\n"
        "image digest: \n"
        "key:          döc\n"
        "dashboard:    https://app.127.0.0.1/backend/{0}\n"
        "\n"
        "Statuses:\n"
        "TIME  scheduled \n"
        "TIME  loading \n"
        "TIME  starting \n"
        "TIME  waiting \n"
        "TIME  ready \n",
        id.str());
    check_output(doc.cli.run({"backend", "info", id.str()}), running);

    REQUIRE(doc.cli.run({"backend", "terminate", id.str()}).exit_code == 0);
    REQUIRE(eventually([&] { return doc.status_of(id) == Status::terminated; }));
    check_output(doc.cli.run({"backend", "info", id.str()}),
                 running +
                     "TIME  terminating (reason: external)\n"
                     "TIME  terminated (reason: external, kind: soft, exit code: 143)\n");
    check_refused(doc.cli.run({"backend", "info", "nosuch"}),
                  "Not Found - BackendNotFound: There is no backend 'nosuch'.", "BackendNotFound");
}

TEST_CASE("backends are terminated, one after the other; one that has ended is skipped") {
    const Doc doc;
    const auto requested = [](const BackendId& id) {
        return fmt::format("Termination requested for backend: {}\n", id.str());
    };
    const BackendId a = doc.connect({"-k", "a"}), b = doc.connect({"-k", "b"}),
                    c = doc.connect({"-k", "c"});
    check_output(doc.cli.run({"backend", "terminate", b.str(), "-f"}), requested(b));
    REQUIRE(eventually([&] { return doc.status_of(b) == Status::terminated; }));
    CHECK(doc.home.backend(b).statuses.back().kind == TerminationKind::hard);

    const RunResult three = doc.cli.run({"terminate", a.str(), b.str(), c.str()});
    CHECK(three.out == requested(a) + requested(c));
    CHECK(three.err ==
          fmt::format(" ›   Warning: Backend {} has already terminated. Skipping...\n", b.str()));
    CHECK(three.exit_code == 0);
    for (const BackendId& id : {a, c}) {
        REQUIRE(eventually([&] { return doc.status_of(id) == Status::terminated; }));
        CHECK(doc.home.backend(id).statuses.back().kind == TerminationKind::soft);
    }

    const RunResult unknown = doc.cli.run({"terminate", "nosuch"});
    CHECK(unknown.err ==
          " ›   Error: Failed to request termination for backend: nosuch. Skipping...\n");
    CHECK(unknown.exit_code == 2);
}

TEST_CASE("logs come from the first line on, live, and end with the backend") {
    const Doc doc;
    const RunResult made = doc.cli.ask({"connect", "doc"});
    const std::string print = url_in(made) + "print?";
    REQUIRE(fetch(print + "first").status == 200);
    Child logs = doc.cli.start({"logs", backend_in(made).str()}, "logs");
    const auto has = [&](const std::string& line) {
        return eventually(
            [&] {
                return content_of(doc.cli.path("logs")).find("\n" + line + "\n") !=
                       std::string::npos;
            },
            cli_patience);
    };
    CHECK(has("first"));
    REQUIRE(fetch(print + "second").status == 200);
    CHECK(has("second"));
    REQUIRE(fetch(print).status == 200);
    REQUIRE(fetch(print + "{\"data:\":1}").status == 200);
    CHECK(has("{\"data:\":1}"));
    CHECK(doc.cli.run({"terminate", backend_in(made).str()}).exit_code == 0);
    CHECK(logs.wait().exit_code == 0);
    CHECK(content_of(doc.cli.path("logs")) ==
          "Reminder: you can find help troubleshooting common issues at "
          "https://docs.jamsocket.com/platform/troubleshooting\n"
          "\nfirst\nsecond\n\n{\"data:\":1}\n");

    const RunResult unknown = doc.cli.run({"backend", "logs", "nosuch"});
    CHECK(unknown.err ==
          "    HTTPError: There is no backend 'nosuch'.\n    Code: BackendNotFound\n");
    CHECK(unknown.exit_code == 1);
}

TEST_CASE("metrics come each second, and end with the backend") {
    const Doc doc;
    const BackendId id = doc.connect();
    Child metrics = doc.cli.start({"backend", "metrics", id.str()}, "metrics");
    const std::string row = R"(\r\x1b\[0K\d+\.\d%\s+\d+\.\d\d [KMG]iB\s+\d+\.\d\d [KMGT]iB\s*)";
    const std::regex whole(
        "\nNote: you can see more detailed metrics for this backend at "
        "https://app.127.0.0.1/backend/" +
        id.str() + "\n\ncpu util\tmem used\tmem avail\n(" + row + "){2,}");
    const auto has_two = [&] {
        return std::regex_match(content_of(doc.cli.path("metrics")), whole);
    };
    CHECK(eventually(has_two, cli_patience));
    CHECK(doc.cli.run({"terminate", "-f", id.str()}).exit_code == 0);
    CHECK(metrics.wait().exit_code == 0);
    CHECK(has_two());
}

TEST_CASE(
    "on an error the CLI asks for its newest version, and the registry is not asked in tests") {
    Doc doc;
    doc.cli.set("NEWEST_JAMSOCKET", "9.9.9");
    CHECK(doc.cli.run({"service", "info", "nosuch"}).err ==
          "    Your Jamsocket CLI version (0.10.7) is out of date. You may need to update to the "
          "latest version (9.9.9) with:\n"
          "        npm install jamsocket@latest\n"
          "\n"
          "    HTTPError: jamsocket: Not Found - ServiceNotFound: There is no service 'nosuch'. "
          "(id: ID)\n"
          "    Code: ServiceNotFound\n");
}
