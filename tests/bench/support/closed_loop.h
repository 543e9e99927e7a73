// The one load generator: one thread that keeps connections to a server open and, on each, sends
// the next request when the answer to the last one is there. The same code and the same waits for
// every protocol, so that servers differ and the measuring doesn't. Whatever fails, also an answer
// that does not come, throws std::runtime_error.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/unique_fd.h"

namespace jamsock::bench {

// How long the answer at the start of these bytes is when it is whole; 0: that can't be told yet.
// Throws std::runtime_error if the answer is an error.
using AnswerSize = std::size_t (*)(std::string_view bytes);

std::size_t http_answer_size(std::string_view bytes);
std::size_t redis_answer_size(std::string_view bytes);
std::size_t postgres_answer_size(std::string_view bytes);
std::size_t websocket_answer_size(std::string_view bytes);  // the 101's, or a short frame's

// What is said to a server.
struct Talk {
    std::string request;
    AnswerSize answer_size = http_answer_size;
    std::string greeting = {};  // before the first request, on each connection
    int greeting_answers = 0;
    bool keeps_answers = true;  // false: of a long one, the rest is thrown away without being read
};

struct Server {
    std::string name;
    std::string socket = {};  // the path of a Unix socket …
    pid_t process = 0;        // 0: its processor time is not asked for
    std::uint16_t port = 0;   // … or else a port of 127.0.0.1

    bool is_installed() const { return !socket.empty() || port != 0; }
};

// One connection that is kept open; blocking.
class Conversation {
  public:
    // Connects and says the greeting.
    Conversation(const Server& server, const Talk& talk);

    int fd() const { return fd_.get(); }
    void send(std::string_view request);
    // Reads once; true: an answer is whole, and taken off.
    bool take_answer();
    // Sends, and waits for the answer, which stays readable until the next call.
    std::string_view ask(std::string_view request);

  private:
    void receive();
    bool throw_rest_away();  // true: all of it is gone

    UniqueFd fd_;
    AnswerSize answer_size_;
    bool keeps_answers_;
    std::string bytes_;
    std::string answer_;
    std::size_t missing_ = 0;  // of an answer that isn't kept
};

struct Pace {
    double median_us = 0;  // of one call
    double tail_us = 0;    // … of the one that 99 of 100 are not slower than
    double per_second = 0;
    double processor_us = 0;  // the server's, a call
};

// Clients of one server; their connections stay open between the slices.
class Load {
  public:
    Load(const Server& server, const Talk& talk, int connections);

    // At its end, no call is under way.
    Pace run(std::chrono::milliseconds duration);

  private:
    struct Client {
        Conversation conversation;
        std::chrono::steady_clock::time_point sent = {};
    };

    void send_next(Client& client);
    // A call's time is added when its answer is whole.
    void await(std::vector<double>& times, std::chrono::steady_clock::time_point end);

    pid_t process_;
    std::string request_;
    std::vector<Client> clients_;
    std::size_t under_way_ = 0;
    UniqueFd epoll_;
};

}  // namespace jamsock::bench
