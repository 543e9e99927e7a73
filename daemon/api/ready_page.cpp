#include "daemon/api/ready_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "common/text.h"
#include "ready_page_parts.h"

namespace jamsock {

namespace {

struct Moment {
    std::string_view name;  // of a live status, or how the script calls it
    std::string_view heading;
    std::string_view sentence;
};

constexpr std::array moments{
    Moment{"scheduled", "Starting", "A place is taken for the backend."},
    Moment{"loading", "Starting", "A process is made for the backend."},
    Moment{"starting", "Starting", "The backend’s program is being started."},
    Moment{"waiting", "Starting", "The program runs. It does not answer yet."},
    Moment{"ready", "Ready", "You are taken there now."},
    Moment{"ending", "Ending", "The backend is ending."},
    Moment{"not-started", "It did not start", "The backend ended before it was ready."},
    Moment{"ended", "It has ended", "The backend is not running any more."},
};

struct Reason {
    std::string_view name;
    std::string_view sentence;
};

constexpr std::array reasons{
    Reason{"external", "Somebody ended it."},
    Reason{"swept", "Nobody used it for a while, or its time was up."},
    Reason{"keyexpired", "Its key expired."},
    Reason{"lost", "What became of it is not known."},
    Reason{"startuptimeout", "It did not answer within the time that it was given."},
    Reason{"internalerror", "jamsock could not run it."},
    Reason{"failed", "Its program failed."},
    Reason{"exited", "Its program ended by itself."},
};

bool was_ready(const std::vector<StatusChange>& statuses) {
    return std::ranges::find(statuses, Status::ready, &StatusChange::status) != statuses.end();
}

std::string_view moment_of(const std::vector<StatusChange>& statuses) {
    const Status status = statuses.back().status;
    if (status == Status::terminated) return was_ready(statuses) ? "ended" : "not-started";
    return is_ending(status) ? "ending" : word(status);
}

std::string_view reason_of(const StatusChange& end) {
    if (end.status != Status::terminated) return "";
    if (end.reason) return word(*end.reason);
    return end.exit && end.exit->code == 0 ? "exited" : "failed";
}

std::string_view hidden_unless(bool shown) {
    return shown ? "" : " hidden";
}

std::string_view heading_of(std::string_view moment) {
    return std::ranges::find(moments, moment, &Moment::name)->heading;
}

std::string all_moments(std::string_view now) {
    std::string html;
    for (const auto& [name, heading, sentence] : moments) {
        html += fmt::format("<div data-when=\"{}\"{}><h1>{}</h1><p>{}</p></div>\n", name,
                            hidden_unless(name == now), heading, sentence);
    }
    return html;
}

std::string all_reasons(std::string_view now) {
    std::string html;
    for (const auto& [name, sentence] : reasons) {
        html += fmt::format("<p data-why=\"{}\"{}>{}</p>\n", name, hidden_unless(name == now),
                            sentence);
    }
    return html;
}

constexpr std::string_view page = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading} · jamsock</title>
{reload}<style nonce="{nonce}">
{style}</style>
</head>
<body{follow}>
<main>
<div role="status">
{moments}{reasons}</div>
<progress max="5" value="{step}" aria-label="How far the start is"{no_progress}></progress>
<p data-over="no"{not_live}><a id="open" href="{url}">Open the backend</a> without this page: it answers when it is ready.</p>
<p data-over="yes"{not_over}>Ask whoever gave you this link for a new one: that starts it again.
What it wrote is shown by <code>jamsock logs {id}</code>.</p>
<p class="soft">Backend <code>{id}</code></p>
</main>
<script nonce="{nonce}">
{script}</script>
</body>
</html>
)html";

}  // namespace

std::string ReadyPage::html(const std::string& nonce) const {
    using fmt::arg;
    const StatusChange& last = statuses.back();
    const std::string_view moment = moment_of(statuses);
    const bool is_over = last.status == Status::terminated;
    const std::string follow = fmt::format(
        " data-status=\"/v2/backend/{0}/status\" data-stream=\"/v2/backend/{0}/status/stream\"",
        id.str());
    constexpr std::string_view reload =
        "<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>\n";
    return fmt::format(page, arg("heading", heading_of(moment)),
                       arg("reload", is_over ? "" : reload), arg("nonce", nonce),
                       arg("style", ready_page_parts::style), arg("follow", is_over ? "" : follow),
                       arg("moments", all_moments(moment)),
                       arg("reasons", all_reasons(reason_of(last))),
                       arg("step", static_cast<int>(std::min(last.status, Status::ready)) + 1),
                       arg("no_progress", hidden_unless(is_live(last.status))),
                       arg("not_live", hidden_unless(!is_over)), arg("url", html_escaped(url)),
                       arg("not_over", hidden_unless(is_over)), arg("id", id.str()),
                       arg("script", ready_page_parts::script));
}

std::string ready_page_policy(const std::string& nonce) {
    return fmt::format(
        "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        nonce);
}

}  // namespace jamsock
