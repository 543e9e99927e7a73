// For tests of the command line: a fresh state directory, and a daemon that gives scripted answers
// over a real socket in it.
#pragma once

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "common/runtime_paths.h"
#include "common/unique_fd.h"

namespace jamsock::cli_test {

// Sets or removes an environment variable for as long as it lives.
class ScopedVariable {
  public:
    ScopedVariable(const char* name, const char* value) : name_(name) {
        if (const char* before = ::getenv(name)) before_ = before;
        if (value) {
            ::setenv(name, value, 1);
        } else {
            ::unsetenv(name);
        }
    }
    ScopedVariable(const ScopedVariable&) = delete;
    ScopedVariable& operator=(const ScopedVariable&) = delete;
    ~ScopedVariable() {
        if (before_) {
            ::setenv(name_, before_->c_str(), 1);
        } else {
            ::unsetenv(name_);
        }
    }

  private:
    const char* name_;
    std::optional<std::string> before_;
};

// A fresh directory that JAMSOCK_HOME names; nothing of the user's is seen.
class StateDirectory {
  public:
    StateDirectory()
        : path_(make()),
          home_("JAMSOCK_HOME", path_.c_str()),
          key_("JAMSOCK_KEY", nullptr),
          backend_("SESSION_BACKEND_ID", nullptr),
          fd_(*open_existing_state_directory(path_)) {}
    StateDirectory(const StateDirectory&) = delete;
    StateDirectory& operator=(const StateDirectory&) = delete;
    ~StateDirectory() { std::filesystem::remove_all(path_); }

    const std::string& path() const { return path_; }
    int fd() const { return fd_.get(); }
    std::string read(const std::string& name) const {
        std::ifstream file(path_ + "/" + name);
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }
    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ + "/" + name) << text;
        return path_ + "/" + name;
    }

  private:
    static std::string make() {
        std::string name = std::filesystem::temp_directory_path() / "jamsock-test-XXXXXX";
        return ::mkdtemp(name.data());
    }
    std::string path_;
    ScopedVariable home_;
    ScopedVariable key_;
    ScopedVariable backend_;
    UniqueFd fd_;
};

// The text of an HTTP answer.
inline std::string answer(int status, const std::string& body) {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
           "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
           body;
}

// Answers the requests it gets with the texts of its script, in order, one on each connection.
// Then, and for an empty text, it closes connections without an answer.
class FakeDaemon {
  public:
    static inline const std::string silence = "silence";  // an answer, or its rest, never comes

    FakeDaemon(const StateDirectory& state, std::vector<std::string> script)
        : script_(std::move(script)), listener_(listen_at(state.path())) {
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stop_);
        thread_ = std::thread([this] { serve(); });
    }
    FakeDaemon(const FakeDaemon&) = delete;
    FakeDaemon& operator=(const FakeDaemon&) = delete;
    ~FakeDaemon() {
        ::close(stop_[0]);
        thread_.join();
        ::close(stop_[1]);
    }

    // The requests so far: head and body as they came.
    std::vector<std::string> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

  private:
    static UniqueFd listen_at(const std::string& directory) {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        (directory + "/" + state_file::socket).copy(address.sun_path, sizeof address.sun_path - 1);
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::listen(fd.get(), 128);
        return fd;
    }

    // Whether `fd` can be read; false once the daemon is to stop.
    bool wait_for(int fd) const {
        pollfd either[2]{{fd, POLLIN, 0}, {stop_[1], POLLIN, 0}};
        ::poll(either, 2, -1);
        return either[1].revents == 0;
    }

    static bool is_whole(const std::string& request) {
        const auto end = request.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        const auto length = request.find("Content-Length: ");
        const std::size_t body = length < end ? std::stoul(request.substr(length + 16)) : 0;
        return request.size() >= end + 4 + body;
    }

    std::string read_request(int fd) const {
        std::string request;
        char buffer[4096];
        while (!is_whole(request)) {
            if (!wait_for(fd)) return {};
            const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0) return {};
            request.append(buffer, static_cast<std::size_t>(got));
        }
        return request;
    }

    std::string next_answer(const std::string& request) {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
        const std::size_t number = requests_.size() - 1;
        return number < script_.size() ? script_[number] : "";
    }

    void serve() {
        while (wait_for(listener_.get())) {
            UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            const std::string request = read_request(connection.get());
            if (request.empty()) continue;
            std::string text = next_answer(request);
            const bool is_kept = text.ends_with(silence);
            if (is_kept) text.resize(text.size() - silence.size());
            ::send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL);
            if (is_kept) kept_.push_back(std::move(connection));
        }
    }

    std::vector<std::string> script_;
    UniqueFd listener_;
    int stop_[2];
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::vector<UniqueFd> kept_;
    std::thread thread_;
};

}  // namespace jamsock::cli_test
