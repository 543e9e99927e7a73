#include "cli/since.h"

#include <fmt/format.h>

#include <ctime>
#include <optional>
#include <string_view>

#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::int64_t second = 1000;
constexpr long long longest_ago = 1'000'000'000;  // of any unit

// What is left of a text, taken from its beginning.
class Rest {
  public:
    explicit Rest(std::string_view text) : text_(text) {}

    bool empty() const { return text_.empty(); }
    bool take(char wanted) {
        if (!text_.starts_with(wanted)) return false;
        text_.remove_prefix(1);
        return true;
    }
    // Exactly `count` digits, of a number from `least` to `most`.
    std::optional<int> number(std::size_t count, int least, int most) {
        long long number = 0;
        if (text_.size() < count || !parse_number(text_.substr(0, count), number)) return {};
        if (number < least || number > most) return {};
        text_.remove_prefix(count);
        return static_cast<int>(number);
    }
    // Of ".125": 125. Further digits are passed over; 0 where there is no fraction.
    std::optional<int> milliseconds() {
        if (!take('.')) return 0;
        int value = 0;
        int unit = 100;
        std::size_t digits = 0;
        for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
            value += (text_[digits] - '0') * unit;
            unit /= 10;
        }
        text_.remove_prefix(digits);
        return digits > 0 ? std::optional(value) : std::nullopt;
    }

  private:
    std::string_view text_;
};

std::optional<std::int64_t> parse_ago(std::string_view text) {
    if (text.empty()) return {};
    constexpr std::string_view units = "smhd";
    constexpr std::int64_t lengths[] = {second, 60 * second, 60 * 60 * second,
                                        24 * 60 * 60 * second};
    const auto unit = units.find(text.back());
    long long count = 0;
    if (unit == std::string_view::npos || !parse_number(text.substr(0, text.size() - 1), count) ||
        count > longest_ago) {
        return {};
    }
    return count * lengths[unit];
}

// "09:30", "09:30:15", "09:30:15.125", into `time`; gives the milliseconds.
std::optional<int> take_clock(Rest& rest, std::tm& time) {
    const auto hour = rest.number(2, 0, 23);
    if (!hour || !rest.take(':')) return {};
    const auto minute = rest.number(2, 0, 59);
    if (!minute) return {};
    time.tm_hour = *hour;
    time.tm_min = *minute;
    if (!rest.take(':')) return 0;
    const auto seconds = rest.number(2, 0, 59);
    if (!seconds) return {};
    time.tm_sec = *seconds;
    return rest.milliseconds();
}

// "Z", "+02:00", "+0200" or "+02": seconds east of UTC.
std::optional<int> take_zone(Rest& rest) {
    if (rest.take('Z')) return 0;
    const bool west = rest.take('-');
    if (!west && !rest.take('+')) return {};
    const auto hours = rest.number(2, 0, 23);
    const bool whole_hours = rest.empty();
    rest.take(':');
    const auto minutes = whole_hours ? 0 : rest.number(2, 0, 59);
    if (!hours || !minutes) return {};
    const int seconds = (*hours * 60 + *minutes) * 60;
    return west ? -seconds : seconds;
}

// Nothing for a day that its month doesn't have.
std::optional<std::int64_t> in_milliseconds(std::tm time, std::optional<int> zone) {
    time.tm_isdst = -1;
    std::tm normal = time;
    const std::time_t seconds = zone ? ::timegm(&normal) - *zone : ::mktime(&normal);
    if (normal.tm_mday != time.tm_mday || normal.tm_mon != time.tm_mon) return {};
    return static_cast<std::int64_t>(seconds) * second;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
    Rest rest(text);
    std::tm time{};
    const auto year = rest.number(4, 1970, 9999);
    if (!year || !rest.take('-')) return {};
    const auto month = rest.number(2, 1, 12);
    if (!month || !rest.take('-')) return {};
    const auto of_month = rest.number(2, 1, 31);
    if (!of_month) return {};
    time.tm_year = *year - 1900;
    time.tm_mon = *month - 1;
    time.tm_mday = *of_month;
    if (rest.empty()) return in_milliseconds(time, {});
    if (!rest.take('T') && !rest.take(' ')) return {};
    const auto milliseconds = take_clock(rest, time);
    if (!milliseconds) return {};
    const bool has_zone = !rest.empty();
    const auto zone = take_zone(rest);
    if (!rest.empty() || has_zone != zone.has_value()) return {};
    const auto start = in_milliseconds(time, zone);
    return start ? std::optional(*start + *milliseconds) : std::nullopt;
}

std::optional<std::int64_t> parse_clock(std::string_view text, std::int64_t now) {
    const std::time_t seconds = now / second;
    std::tm time{};
    ::localtime_r(&seconds, &time);
    time.tm_sec = 0;
    Rest rest(text);
    const auto milliseconds = take_clock(rest, time);
    if (!milliseconds || !rest.empty()) return {};
    const auto at = [&](std::tm day) {
        day.tm_isdst = -1;
        return static_cast<std::int64_t>(::mktime(&day)) * second + *milliseconds;
    };
    if (at(time) > now) --time.tm_mday;
    return at(time);
}

}  // namespace

Result<std::int64_t> parse_since(const std::string& text, std::int64_t now) {
    if (const auto ago = parse_ago(text)) return now - *ago;
    if (const auto time = parse_clock(text, now)) return *time;
    if (const auto time = parse_date(text)) return *time;
    return fail(ErrorCode::invalid_request,
                fmt::format("The option --since needs a time such as 10s, 5m, 2h, 1d, 09:30 or "
                            "2026-11-23T09:30:00; {} is none.",
                            in_quotes(text)));
}

}  // namespace jamsock
