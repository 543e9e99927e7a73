#include "tests/support/npm_cli.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

namespace jamsock::test {

namespace {

constexpr int install_attempts = 2;
constexpr std::chrono::minutes install_patience{8};  // of one; minutes where all cores are busy

// npm goes by the settings and the cache of whoever runs the tests.
std::map<std::string, std::string> own_environment() {
    std::map<std::string, std::string> variables;
    for (char** variable = environ; *variable; ++variable) {
        const std::string text = *variable;
        const auto equals = text.find('=');
        if (equals != std::string::npos)
            variables[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return variables;
}

RunResult install(const std::string& directory) {
    RunOptions options;
    options.environment = own_environment();
    options.directory = directory;
    options.limit = install_patience;
    return run({"/usr/bin/env", "npm", "install", "--prefix", directory, "--prefer-offline",
                "--ignore-scripts", "--no-audit", "--no-fund", "--logs-max=0",
                fmt::format("jamsocket@{}", NpmCli::version), "@jamsocket/types@1.1.6"},
               options);
}

struct Packages {
    Packages() {
        for (int attempt = 0; installed.exit_code != 0 && attempt < install_attempts; ++attempt)
            installed = install(directory.path());
    }

    TemporaryDirectory directory;
    RunResult installed;
};

std::string with(const std::string& text, const char* pattern, const char* in_place) {
    return std::regex_replace(text, std::regex(pattern), in_place);
}

std::string line_in(const RunResult& connected, const std::string& title) {
    std::smatch found;
    INFO(connected.out, connected.err);
    REQUIRE(std::regex_search(connected.out, found, std::regex(title + ": +([^ \\n]+)\n")));
    return found[1].str();
}

}  // namespace

const std::string& npm_packages() {
    static const Packages packages;
    INFO("npm install says: ", packages.installed.err);
    REQUIRE_MESSAGE(packages.installed.exit_code == 0,
                    "npm can't install the packages of Jamsocket: these tests need the npm "
                    "registry, or npm's cache of it");
    return packages.directory.path();
}

std::map<std::string, std::string> jamsocket_variables(const Home& home) {
    RunOptions options = home.options();
    options.environment["PATH"] = JAMSOCK_BUILD_DIR "/bin:/usr/bin:/bin";
    const RunResult shell =
        run({"/bin/sh", "-c", "variables=$(jamsock env) && eval \"$variables\" && env"}, options);
    INFO(shell.err);
    REQUIRE(shell.exit_code == 0);
    std::map<std::string, std::string> variables;
    std::istringstream lines(shell.out);
    for (std::string line; std::getline(lines, line);) {
        const auto equals = line.find('=');
        if (line.starts_with("JAMSOCKET_"))
            variables[line.substr(0, equals)] = line.substr(equals + 1);
    }
    return variables;
}

NpmCli::NpmCli(const Home& home) : variables_(jamsocket_variables(home)) {
    REQUIRE(variables_.contains("JAMSOCKET_SERVER_API"));
    variables_["HOME"] = directory_.path();
    variables_["PATH"] = "/usr/local/bin:/usr/bin:/bin";
    variables_["NODE_OPTIONS"] = "--require \"" JAMSOCK_TEST_SUPPORT "/npm_registry.js\"";
    variables_["NEWEST_JAMSOCKET"] = version;
    variables_["OCLIF_COLUMNS"] = "1000";  // else errors are broken into lines
    // A fresh answer of the registry: a process of the CLI's that asks for one would outlive it.
    std::filesystem::create_directories(directory_.path(".cache/jamsocket"));
    std::ofstream(directory_.path(".cache/jamsocket/version")) << "{}";
}

RunOptions NpmCli::options() const {
    RunOptions options;
    options.environment = variables_;
    return options;
}

RunResult NpmCli::ask(const std::vector<std::string>& arguments) const {
    std::vector<std::string> argv{npm_packages() + "/node_modules/.bin/jamsocket"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return test::run(argv, options());
}

RunResult NpmCli::run(const std::vector<std::string>& arguments) const {
    RunResult result = ask(arguments);
    result.out = told(result.out);
    result.err = with(told(result.err), "Using Jamsocket server override: API\n", "");
    return result;
}

RunResult NpmCli::login() const {
    return run({"login", "--token", token()});
}

Child NpmCli::start(const std::vector<std::string>& arguments, const std::string& file) const {
    std::vector<std::string> argv{"/bin/sh", "-c", "exec \"$@\" >\"$0\"", path(file),
                                  npm_packages() + "/node_modules/.bin/jamsocket"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return Child::start(argv, options());
}

void NpmCli::set(const std::string& variable, const std::string& value) {
    variables_[variable] = value;
}

std::string NpmCli::told(const std::string& output) const {
    std::string text = output;
    const std::string& api = variables_.at("JAMSOCKET_SERVER_API");
    for (auto at = text.find(api); at != std::string::npos; at = text.find(api))
        text.replace(at, api.size(), "API");
    text = with(text, R"(http://127\.0\.0\.1:\d+/[\w-]{43}/)", "URL");
    text = with(text, R"(/[\w-]{43}/)", "/TOKEN/");
    text = with(text, R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)", "TIME");
    text = with(text, R"((less than a minute|\d+ minutes?)( ago|\)))", "AGE$2");
    return with(text, R"(\(id: \w+\))", "(id: ID)");
}

BackendId backend_in(const RunResult& connected) {
    return BackendId::parse(line_in(connected, "backend id")).value();
}

std::string url_in(const RunResult& connected) {
    return line_in(connected, "backend url");
}

}  // namespace jamsock::test
