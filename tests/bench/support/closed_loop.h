// The one load generator: one thread that keeps connections to a server on a Unix socket open and,
// on each, sends the next request when the answer to the last one is there. The same code and the
// same waits for every protocol, so that servers differ and the measuring doesn't.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>

#include "common/unique_fd.h"

namespace jamsock::bench {

// How long the whole answer at the start of these bytes is; 0: it is not all there yet. Throws
// std::runtime_error if the answer is an error.
using AnswerSize = std::size_t (*)(std::string_view bytes);

std::size_t http_answer_size(std::string_view bytes);
std::size_t redis_answer_size(std::string_view bytes);
std::size_t postgres_answer_size(std::string_view bytes);

// What is said to a server.
struct Talk {
    std::string request;
    AnswerSize answer_size = http_answer_size;
    std::string greeting = {};  // before the first request, on each connection
    int greeting_answers = 0;
};

struct Server {
    std::string name;
    std::string socket;  // empty: not installed
    pid_t process = 0;   // 0: its processor time is not asked for
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
    UniqueFd fd_;
    AnswerSize answer_size_;
    std::string bytes_;
    std::string answer_;
};

struct Pace {
    double median_us = 0;  // of one call
    double per_second = 0;
    double processor_us = 0;  // the server's, a call
};

Pace drive(const Server& server, const Talk& talk, int connections,
           std::chrono::milliseconds duration);

}  // namespace jamsock::bench
