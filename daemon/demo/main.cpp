// jamsock-demo: the backend of the default service. One text per process, shared by all who look.
// It is an ordinary backend: it takes PORT and the SESSION_BACKEND_ variables, and knows nothing
// else of jamsock.

#include <fmt/format.h>
#include <httplib.h>

#include <chrono>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "common/environment.h"
#include "common/text.h"
#include "daemon/demo/page.h"

namespace jamsock::demo {

namespace {

constexpr std::size_t longest_text = 1 << 20;
constexpr std::chrono::seconds looker_memory{2};  // a page asks twice a second

// The shared text and who looks at it. Any thread.
class Document {
  public:
    std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }

    std::string replace(std::string text) {
        const std::lock_guard lock(mutex_);
        text_ = std::move(text);
        ++version_;
        return state();
    }

    std::string look(const std::string& who) {
        const std::lock_guard lock(mutex_);
        const auto now = std::chrono::steady_clock::now();
        lookers_[who] = now;
        std::erase_if(lookers_,
                      [&](const auto& looker) { return now - looker.second > looker_memory; });
        return state();
    }

  private:
    std::string state() const {
        return nlohmann::json{{"text", text_}, {"version", version_}, {"lookers", lookers_.size()}}
            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }

    mutable std::mutex mutex_;
    std::string text_;
    std::uint64_t version_ = 0;
    std::map<std::string, std::chrono::steady_clock::time_point> lookers_;
};

void add_routes(httplib::Server& server, Document& document, const PageFacts& facts) {
    server.Get("/", [&](const httplib::Request&, httplib::Response& response) {
        response.set_content(page(facts, document.text()), "text/html; charset=utf-8");
    });
    server.Get("/state", [&](const httplib::Request& request, httplib::Response& response) {
        response.set_content(document.look(request.get_param_value("me").substr(0, 64)),
                             "application/json");
    });
    server.Post("/text", [&](const httplib::Request& request, httplib::Response& response) {
        response.set_content(document.replace(request.body), "application/json");
    });
    server.set_payload_max_length(longest_text);
}

int run() {
    long long port = 0;
    if (!parse_number(environment_variable("PORT").value_or(""), port) || port < 1 ||
        port > 65535) {
        fmt::print(stderr, "jamsock-demo: PORT is not set to a port; jamsock sets it.\n");
        return 2;
    }
    const PageFacts facts{environment_variable("SESSION_BACKEND_KEY").value_or("(no key)"),
                          environment_variable("SESSION_BACKEND_ID").value_or("(none)"),
                          environment_variable("SESSION_BACKEND_FENCING_TOKEN").value_or("(none)")};
    Document document;
    httplib::Server server;
    add_routes(server, document, facts);
    if (!server.listen("127.0.0.1", static_cast<int>(port))) {
        fmt::print(stderr, "jamsock-demo: can't listen on port {}.\n", port);
        return 1;
    }
    return 0;
}

}  // namespace

}  // namespace jamsock::demo

int main() {
    return jamsock::demo::run();
}
