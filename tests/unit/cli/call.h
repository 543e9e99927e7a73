// Whole calls of the command line in a test's own process, and answers for a FakeDaemon to give.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "common/api_types.h"
#include "common/version.h"
#include "tests/unit/cli/fake_daemon.h"

namespace jamsock::cli_test {

struct Outcome {
    int exit_code;
    std::string out;
    std::string err;
};

inline Outcome call_with(bool on_terminal, const std::vector<std::string>& words) {
    std::ostringstream out, err;
    Terminal terminal{
        .out = out, .err = err, .out_is_terminal = on_terminal, .err_is_terminal = on_terminal};
    const int exit_code = run_command_line(words, terminal);
    return {exit_code, out.str(), err.str()};
}

inline Outcome call(const std::vector<std::string>& words) {
    return call_with(false, words);
}

inline BackendId id(const char* text) {
    return *BackendId::parse(text);
}

inline std::string connected(const char* backend) {
    return ConnectResponse{id(backend), true, Status::ready, "t", "http://127.0.0.1:9090/t/", "s"}
        .to_json();
}

// The begin of a status stream; whether it goes on is said behind it.
inline std::string stream_of(std::initializer_list<Status> statuses) {
    std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const Status status : statuses) {
        const std::string event = "data:" + *public_status_json({.status = status}) + "\n\n";
        text += fmt::format("{:x}\r\n{}\r\n", event.size(), event);
    }
    return text;
}

inline std::string backend_that(std::vector<StatusChange> statuses, const char* backend = "knrv5",
                                std::uint32_t connections = 0) {
    return answer(
        200,
        BackendInfo{.id = id(backend), .statuses = std::move(statuses), .connections = connections}
            .to_json());
}

inline std::string failed(ErrorCode code, const char* message) {
    return answer(info(code).http_status, error_json({code, message, "", {}}, "r1"));
}

inline std::string list_of(std::vector<KeyEntry> keys) {
    return answer(200, KeyList{std::move(keys)}.to_json());
}

inline KeyEntry held(const char* key, const char* service, const char* backend) {
    return {.key = *Key::parse(key),
            .service = *ServiceName::parse(service),
            .backend_id = id(backend),
            .status = Status::ready};
}

inline std::string ended(const char* backend) {
    const StatusChange change{.status = Status::terminated, .exit = ProcessExit{0, std::nullopt}};
    return answer(200, BackendInfo{.id = id(backend), .statuses = {change}}.to_json());
}

}  // namespace jamsock::cli_test
