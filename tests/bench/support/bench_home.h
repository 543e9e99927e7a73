// A throw-away instance of jamsock to be measured.
#pragma once

#include <string>

#include "tests/bench/support/closed_loop.h"
#include "tests/support/home.h"

namespace jamsock::bench {

class BenchHome {
  public:
    // The daemon runs.
    BenchHome();

    const test::Home& home() const { return home_; }
    // The worker behind its socket.
    Server server() const;
    // The tiny backend holds `key`, and is ready.
    void connect(const std::string& key) const;
    // Of the body of an answer.
    std::size_t answer_length(const Talk& talk) const;

  private:
    test::Home home_;
};

// The request for a backend in place: the tiny one.
ConnectRequest tiny_backend(const std::string& key);

}  // namespace jamsock::bench
