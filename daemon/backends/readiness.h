// Whether a backend is ready (CONTRACT, Life of a backend; README, Services): the sign that its
// service waits for, or READY=1, and then whose its port is. Control thread; files and /proc are
// read on helper threads.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "common/backend_state.h"
#include "common/readiness_rule.h"
#include "daemon/asio.h"
#include "daemon/backends/backend_record.h"
#include "daemon/backends/log_watch.h"
#include "daemon/backends/port_owner.h"
#include "daemon/helper_thread.h"
#include "daemon/shim/message.h"

#include <boost/asio/ip/tcp.hpp>

namespace jamsock {

// What one look at a backend found.
struct Seen {
    bool has_sign = false;
    PortPlace place = {};  // asked only where the sign is there
};

enum class Verdict {
    waiting,
    ready,
    too_late,
};
// Times in milliseconds of CLOCK_BOOTTIME. Pure, as are the next two.
Verdict judge(const ReadinessRule& rule, const Seen& seen, std::int64_t now,
              std::int64_t give_up_at);

// When the startup limit passes for a process that started so many clock ticks after boot (0: that
// couldn't be told), whoever watches it and since when.
std::int64_t end_of_startup(std::uint64_t start_ticks, long ticks_per_second,
                            std::chrono::seconds limit, std::int64_t now);

// The status in the beginning of an answer ("HTTP/1.1 204"); 0 if it is no HTTP.
int http_status(std::string_view answer);

// How a backend stood to its sign when it was last looked at.
struct LastLook {
    bool has_sign = false;
    int http_status = 0;  // of the last answer to GET; 0: none ever came
    struct CommandTry {
        ProcessExit exit;
        bool was_too_long = false;
    };
    std::optional<CommandTry> command;      // its last try that failed
    bool met_stranger = false;              // ever: who gave the sign was somebody else on its port
    bool is_ipv6 = false;                   // its port leads to [::1], not to 127.0.0.1
    std::optional<KnownListener> listener;  // … to this
};

// The wait of one backend, which owns it.
class ReadinessWatch {
  public:
    explicit ReadinessWatch(const BackendRecord& record)
        : rule_(record.readiness), port_(record.port) {}

    // A message of the shim's that may tell something of it: ready, not-ready or hello.
    void heed(const Message& told);

    struct Place {
        pid_t shim;
        int directory;  // the backend's
    };
    struct Helpers {
        HelperThread& proc;
        HelperThread& output;  // matches patterns: nothing else waits behind that
    };
    // Looks, often at first and then every 20 ms, until the verdict is made, or `is_over` says that
    // nobody waits any more (`waiting`). To be called once.
    Task<Verdict> wait(Place place, std::int64_t give_up_at, Helpers helpers,
                       const std::function<bool()>& is_over);

    const LastLook& last_look() const { return last_; }

  private:
    using Socket = asio::ip::tcp::socket;

    Task<Verdict> wait_for_verdict(const Helpers& helpers, const std::function<bool()>& is_over);
    Task<Seen> look(const Helpers& helpers);
    Task<bool> has_sign(HelperThread& output);
    Task<bool> has_line(HelperThread& output);
    Task<bool> answers_well(const std::string& path);
    Task<bool> answers_http();
    Task<std::string> ask(std::string_view method, std::string_view path, std::size_t length);
    Task<std::optional<std::string>> ask_at(const asio::ip::tcp::endpoint& place,
                                            std::string_view question, std::size_t length);

    ReadinessRule rule_;
    std::uint16_t port_;
    Place place_{};
    std::int64_t give_up_at_ = 0;
    bool shim_says_ready_ = false;
    Event told_;
    Socket* asking_ = nullptr;
    std::shared_ptr<LogWatch> log_;
    LastLook last_;
};

}  // namespace jamsock
