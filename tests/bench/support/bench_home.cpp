#include "tests/bench/support/bench_home.h"

#include <stdexcept>

#include "common/runtime_paths.h"
#include "tests/bench/support/servers.h"

namespace jamsock::bench {

BenchHome::BenchHome() {
    const auto started = home_.jamsock({"daemon", "start"});
    if (started.exit_code != 0) throw std::runtime_error(started.err);
}

Server BenchHome::server() const {
    return {"jamsock", home_.path() + "/" + state_file::socket, home_.worker()};
}

void BenchHome::connect(const std::string& key) const {
    const auto connected = home_.connect(tiny_backend(key));
    if (!connected) throw std::runtime_error(connected.error().message);
}

std::size_t BenchHome::answer_length(const Talk& talk) const {
    Conversation conversation(server(), talk);
    const std::string_view answer = conversation.ask(talk.request);
    return answer.size() - answer.find("\r\n\r\n") - 4;
}

ConnectRequest tiny_backend(const std::string& key) {
    return {.key = Key::parse(key).value(),
            .command = Command{{own_program("tiny_backend")}, "/"},
            .base_environment = EnvironmentMap{}};
}

}  // namespace jamsock::bench
