#include "common/clock.h"

#include <fmt/format.h>

#include <ctime>

namespace jamsock {

namespace {

// Reads from the front of a text; after the first thing that isn't there, all fails.
class Reader {
  public:
    explicit Reader(std::string_view text) : rest_(text) {}

    int number(std::size_t digits, int most) {
        int value = 0;
        for (std::size_t i = 0; i < digits; ++i)
            value = value * 10 + digit();
        failed_ |= value > most;
        return value;
    }
    bool take(char wanted) {
        if (!rest_.starts_with(wanted)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void require(char wanted) { failed_ |= !take(wanted); }
    // The digits of a fraction of a second: what is below a millisecond is dropped.
    int fraction() {
        int value = digit() * 100;
        for (int weight = 10; next_is_digit(); weight /= 10)
            value += digit() * weight;
        return value;
    }
    bool is_whole() const { return !failed_ && rest_.empty(); }

  private:
    bool next_is_digit() const {
        return !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9';
    }
    int digit() {
        if (!next_is_digit()) {
            failed_ = true;
            return 0;
        }
        const int value = rest_.front() - '0';
        rest_.remove_prefix(1);
        return value;
    }

    std::string_view rest_;
    bool failed_ = false;
};

std::chrono::year_month_day read_date(Reader& reader) {
    const int year = reader.number(4, 9999);
    reader.require('-');
    const int month = reader.number(2, 12);
    reader.require('-');
    const int day = reader.number(2, 31);
    return {std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
            std::chrono::day(static_cast<unsigned>(day))};
}

std::chrono::milliseconds read_clock(Reader& reader) {
    std::chrono::milliseconds time = std::chrono::hours(reader.number(2, 23));
    reader.require(':');
    time += std::chrono::minutes(reader.number(2, 59));
    reader.require(':');
    time += std::chrono::seconds(reader.number(2, 59));
    if (reader.take('.')) time += std::chrono::milliseconds(reader.fraction());
    return time;
}

std::chrono::minutes read_offset(Reader& reader) {
    if (reader.take('Z')) return {};
    const bool is_west = reader.take('-');
    if (!is_west) reader.require('+');
    const std::chrono::hours hours(reader.number(2, 23));
    reader.require(':');
    const std::chrono::minutes offset = hours + std::chrono::minutes(reader.number(2, 59));
    return is_west ? -offset : offset;
}

}  // namespace

BootClock::time_point BootClock::now() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return time_point(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

std::int64_t milliseconds_since_boot(BootClock::time_point time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::int64_t boot_milliseconds() {
    return milliseconds_since_boot(BootClock::now());
}

std::int64_t wall_milliseconds() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string iso_time(std::int64_t wall_milliseconds) {
    const std::time_t seconds = wall_milliseconds / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       wall_milliseconds % 1000);
}

std::optional<std::int64_t> parse_iso_time(std::string_view text) {
    Reader reader(text);
    const std::chrono::year_month_day date = read_date(reader);
    reader.require('T');
    const std::chrono::milliseconds clock = read_clock(reader);
    const std::chrono::minutes offset = read_offset(reader);
    if (!reader.is_whole() || !date.ok()) return std::nullopt;
    const std::chrono::milliseconds day = std::chrono::sys_days(date).time_since_epoch();
    return (day + clock - offset).count();
}

}  // namespace jamsock
