#include "daemon/backends/readiness.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "common/clock.h"
#include "common/text.h"
#include "common/timeouts.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace jamsock {

namespace {

using asio::ip::tcp;

constexpr std::string_view http = "HTTP/";
constexpr std::size_t status_end = std::string_view("HTTP/1.1 200").size();

// Nothing: no connection came about.
Task<std::optional<std::string>> exchange(tcp::socket& socket, const tcp::endpoint& place,
                                          const std::string& request, std::size_t length) {
    error_code failed;
    co_await socket.async_connect(place, catching(failed));
    if (failed) co_return std::nullopt;
    co_await asio::async_write(socket, asio::buffer(request), catching(failed));
    if (failed) co_return std::string();
    std::string answer(length, '\0');
    const std::size_t read =
        co_await asio::async_read(socket, asio::buffer(answer), catching(failed));
    answer.resize(read);
    co_return answer;
}

Task<PortPlace> ask_place(std::uint16_t port, pid_t shim, HelperThread& helper) {
    return helper.run([port, shim] { return port_place(port, shim); });
}

Task<bool> look_at(std::shared_ptr<LogWatch> log, HelperThread& output) {
    return output.run([log = std::move(log)] { return log->look(); });
}

std::optional<int> small_number(const Message& message, std::string_view name) {
    const auto value = message.number(name);
    if (!value) return std::nullopt;
    return static_cast<int>(*value);
}

}  // namespace

Verdict judge(const ReadinessRule& rule, const Seen& seen, std::int64_t now,
              std::int64_t give_up_at) {
    const bool is_its_own = rule.takes_any_owner() || seen.place.owner == PortOwner::tree;
    if (seen.has_sign && is_its_own) return Verdict::ready;
    return now < give_up_at ? Verdict::waiting : Verdict::too_late;
}

std::int64_t end_of_startup(std::uint64_t start_ticks, long ticks_per_second,
                            std::chrono::seconds limit, std::int64_t now) {
    const std::int64_t start =
        start_ticks == 0 ? now : static_cast<std::int64_t>(start_ticks) * 1000 / ticks_per_second;
    return start + std::chrono::milliseconds(limit).count();
}

int http_status(std::string_view answer) {
    if (answer.size() < status_end || !answer.starts_with(http)) return 0;
    const std::size_t space = answer.find(' ');
    long long status = 0;
    if (space == std::string_view::npos || !parse_number(answer.substr(space + 1, 3), status))
        return 0;
    return static_cast<int>(status);
}

void ReadinessWatch::heed(const Message& told) {
    LastLook::CommandTry ended{{small_number(told, "try_code"), small_number(told, "try_signal")},
                               told.number("try_too_long") == 1};
    if (ended.exit.code || ended.exit.signal || ended.was_too_long) last_.command = ended;
    if (told.verb() != "ready" && told.number("ready") != 1) return;
    shim_says_ready_ = true;
    error_code ignored;
    if (asking_) asking_->close(ignored);  // who said so need not answer
    told_.notify_all();
}

Task<Verdict> ReadinessWatch::wait(Place place, std::int64_t give_up_at, Helpers helpers,
                                   const std::function<bool()>& is_over) {
    place_ = place;
    give_up_at_ = give_up_at;
    const Verdict verdict = co_await wait_for_verdict(helpers, is_over);
    log_.reset();
    co_return verdict;
}

Task<Verdict> ReadinessWatch::wait_for_verdict(const Helpers& helpers,
                                               const std::function<bool()>& is_over) {
    std::chrono::nanoseconds pause = timeouts::first_probe_pause;
    while (!is_over()) {
        const Seen seen = co_await look(helpers);
        last_.has_sign = seen.has_sign;
        last_.met_stranger = last_.met_stranger || seen.place.owner == PortOwner::stranger;
        last_.is_ipv6 = seen.place.is_ipv6;
        last_.listener = seen.place.listener;
        const Verdict verdict = judge(rule_, seen, boot_milliseconds(), give_up_at_);
        if (verdict != Verdict::waiting) co_return verdict;
        const Deadline next_look = after(pause);
        co_await told_.wait_until(next_look);
        pause = std::min<std::chrono::nanoseconds>(pause * 2, timeouts::last_probe_pause);
    }
    co_return Verdict::waiting;
}

Task<Seen> ReadinessWatch::look(const Helpers& helpers) {
    Seen seen;
    seen.has_sign = co_await has_sign(helpers.output);
    seen.has_sign = seen.has_sign || shim_says_ready_;
    if (seen.has_sign) seen.place = co_await ask_place(port_, place_.shim, helpers.proc);
    co_return seen;
}

Task<bool> ReadinessWatch::has_sign(HelperThread& output) {
    if (shim_says_ready_) co_return true;
    if (!rule_.sign) co_return co_await answers_http();
    switch (rule_.sign->kind()) {
        case ReadySign::Kind::log:
            co_return co_await has_line(output);
        case ReadySign::Kind::path:
            co_return co_await answers_well(rule_.sign->text());
        case ReadySign::Kind::exec:
            break;
    }
    co_return false;
}

Task<bool> ReadinessWatch::has_line(HelperThread& output) {
    if (!log_) log_ = std::make_shared<LogWatch>(place_.directory, rule_.sign->text());
    return look_at(log_, output);
}

Task<bool> ReadinessWatch::answers_well(const std::string& path) {
    const std::string answer = co_await ask("GET", path, status_end);
    const int status = http_status(answer);
    if (status != 0) last_.http_status = status;
    co_return status >= 200 && status < 400;
}

Task<bool> ReadinessWatch::answers_http() {
    const std::string answer = co_await ask("HEAD", "/", http.size());
    co_return answer == http;
}

// Up to `length` bytes of the answer; what could not be asked has none. On [::1] only where nobody
// listens on 127.0.0.1.
Task<std::string> ReadinessWatch::ask(std::string_view method, std::string_view path,
                                      std::size_t length) {
    const std::string question = fmt::format("{} {} HTTP/1.1\r\n", method, path);
    const tcp::endpoint ipv4(asio::ip::address_v4::loopback(), port_);
    const tcp::endpoint ipv6(asio::ip::address_v6::loopback(), port_);
    std::optional<std::string> answer = co_await ask_at(ipv4, question, length);
    if (!answer && !shim_says_ready_) answer = co_await ask_at(ipv6, question, length);
    co_return answer.value_or(std::string());
}

Task<std::optional<std::string>> ReadinessWatch::ask_at(const tcp::endpoint& place,
                                                        std::string_view question,
                                                        std::size_t length) {
    Socket socket(co_await asio::this_coro::executor);
    error_code failed;
    socket.open(place.protocol(), failed);
    if (failed) co_return std::nullopt;
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    const char* host = place.protocol() == tcp::v6() ? "[::1]" : "127.0.0.1";
    const std::string request =
        fmt::format("{}Host: {}:{}\r\nConnection: close\r\n\r\n", question, host, place.port());
    const std::chrono::milliseconds left(
        std::max<std::int64_t>(1, give_up_at_ - boot_milliseconds()));
    struct Asking {
        Asking(Socket*& now, Socket& socket) : now_(now) { now_ = &socket; }
        Asking(const Asking&) = delete;
        ~Asking() { now_ = nullptr; }
        Socket*& now_;
    } const asking(asking_, socket);
    const auto limit = std::min<std::chrono::nanoseconds>(left, timeouts::probe_answer);
    co_return co_await with_deadline(socket, limit, exchange(socket, place, request, length));
}

}  // namespace jamsock
