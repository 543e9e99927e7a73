#include "cli/post_mortem.h"

#include <doctest/doctest.h>
#include <signal.h>

#include "cli/render.h"

using namespace jamsock;

namespace {

constexpr std::int64_t begin = 1'000'000;

StatusChange ended(std::optional<TerminationReason> reason, ProcessExit exit,
                   std::optional<EndCause> cause = {}) {
    return {.status = Status::terminated,
            .time = begin + 61'000,
            .reason = reason,
            .kind = reason ? std::optional(TerminationKind::soft) : std::nullopt,
            .exit = exit,
            .cause = cause};
}

BackendInfo backend_with(StatusChange last) {
    return {.id = BackendId::parse("knrv5").value(),
            .service = ServiceName::parse("editor").value(),
            .key = Key::parse("doc").value(),
            .created_at = begin,
            .statuses = {{.time = begin},
                         {.status = Status::starting, .time = begin + 1},
                         {.status = Status::waiting, .time = begin + 2},
                         {.status = Status::ready, .time = begin + 412},
                         std::move(last)},
            .command = {{"/bin/it"}, "/srv"},
            .max_idle_seconds = 300,
            .expires_at = begin + 60'000};
}

PostMortem told(StatusChange last) {
    return post_mortem(backend_with(std::move(last)), {"a line"}, begin + 100'000);
}

ProcessExit code(int value) {
    return {value, std::nullopt};
}
ProcessExit signal(int number) {
    return {std::nullopt, number};
}

struct Expected {
    StatusChange end;
    std::string ended_by;
    std::string verdict;  // what follows the name
    std::string next;
};

}  // namespace

TEST_CASE("who ended a backend is told truthfully, and what to do next") {
    using Reason = TerminationReason;
    const std::string again = "jamsock connect editor --key doc";
    const std::string logs = "jamsock logs knrv5";
    const std::vector<Expected> all{
        {ended({}, code(0)), "itself", "ended by itself: it exited with code 0", again},
        {ended({}, code(3)), "itself", "ended by itself: it exited with code 3", logs},
        {ended({}, signal(SIGSEGV)), "signal",
         "was killed by signal 11 (SEGV) that jamsock did not send", logs},
        {ended({}, signal(SIGKILL)), "signal",
         "was killed by signal 9 (KILL) that jamsock did not send; the kernel's out-of-memory "
         "killer does so: see dmesg",
         logs},
        {ended({}, signal(SIGXCPU)), "signal",
         "was killed by signal 24 (XCPU), as its limit of processor time was used up", logs},
        {ended({}, signal(SIGKILL), EndCause::out_of_memory), "out-of-memory",
         "was killed by the kernel: out of memory; it was killed by signal 9 (KILL)", logs},
        {ended(Reason::external, signal(SIGTERM)), "request",
         "was ended on request, by jamsock terminate or a call of the API: it was killed by signal "
         "15 (TERM)",
         again},
        {ended(Reason::swept, code(0), EndCause::idle), "idle",
         "was ended because nobody used it for 300 s: it exited with code 0", again},
        {ended(Reason::swept, code(0), EndCause::lifetime), "lifetime",
         "was ended because its lifetime of 60 s was over: it exited with code 0", again},
        {ended(Reason::swept, code(0)), "idle-or-lifetime",
         "was ended because nobody used it or its lifetime was over: it exited with code 0", again},
        {ended(Reason::startuptimeout, signal(SIGKILL)), "startup-limit",
         "was killed because it was not ready in time: it was killed by signal 9 (KILL)", logs},
        {ended(Reason::internalerror, signal(SIGKILL)), "lock-removed",
         "was killed because its key's lock file was removed: it was killed by signal 9 (KILL)",
         "jamsock daemon logs"},
        {ended(Reason::lost, signal(SIGKILL)), "lost",
         "was lost: its jamsock-shim ended before it; it was killed by signal 9 (KILL)",
         "jamsock daemon logs"},
    };
    for (const Expected& expected : all) {
        CAPTURE(expected.ended_by);
        const PostMortem one = told(expected.end);
        CHECK(one.ended_by == expected.ended_by);
        CHECK(one.verdict == "The backend knrv5 of the key 'doc' " + expected.verdict + ".");
        CHECK(one.next_step == expected.next);
        CHECK(one.lived == 61'000);
        CHECK(one.ready_after == 412);
    }
}

TEST_CASE("a backend that never ran could not be started") {
    StatusChange end = ended({}, code(127));
    end.diagnosis = "'/bin/it' can't be run: No such file or directory.";
    BackendInfo backend = backend_with(end);
    backend.statuses.erase(backend.statuses.begin() + 2, backend.statuses.begin() + 4);
    const PostMortem unrunnable = post_mortem(backend, {}, 0);
    CHECK(unrunnable.ended_by == "start-failure");
    CHECK(unrunnable.verdict == "The backend knrv5 of the key 'doc' could not be started.");
    CHECK(unrunnable.diagnosis == end.diagnosis);
    CHECK(unrunnable.next_step == "ls -ld /srv /bin/it");
    CHECK_FALSE(unrunnable.ready_after);

    backend.statuses.back().exit.reset();
    backend.statuses.back().reason = TerminationReason::internalerror;
    backend.statuses.erase(backend.statuses.begin() + 1);
    CHECK(post_mortem(backend, {}, 0).ended_by == "start-failure");
    CHECK(post_mortem(backend, {}, 0).next_step == "jamsock daemon logs");
}

TEST_CASE("an end that nobody saw, and one without reason or exit") {
    StatusChange end = ended({}, {});
    end.exit.reset();
    CHECK(told(end).verdict == "The backend knrv5 of the key 'doc' ended, and nobody saw how.");
    end.reason = TerminationReason::lost;
    CHECK(told(end).verdict ==
          "The backend knrv5 of the key 'doc' was lost: its jamsock-shim ended before it.");
}

TEST_CASE("what ran in place is started again with its command, where it ran") {
    BackendInfo backend = backend_with(ended({}, code(0)));
    backend.service = ServiceName::standard();
    backend.key = Key::parse("-a b").value();
    backend.command = {{"/bin/it", "two words"}, "/my dir"};
    CHECK(post_mortem(backend, {}, 0).next_step ==
          "cd '/my dir' && jamsock connect '--key=-a b' -- /bin/it 'two words'");
    backend.key.reset();
    CHECK(post_mortem(backend, {}, 0).next_step ==
          "cd '/my dir' && jamsock connect -- /bin/it 'two words'");
    backend.command = {{"/opt/jamsock-demo"}, "/"};
    CHECK(post_mortem(backend, {}, 0).next_step == "jamsock connect");
    CHECK(post_mortem(backend, {}, 0).verdict ==
          "The backend knrv5 ended by itself: it exited with code 0.");
}

TEST_CASE("without output there is no output to look at") {
    const PostMortem silent = post_mortem(backend_with(ended({}, code(3))), {}, 0);
    CHECK(silent.next_step == "jamsock connect editor --key doc");
}

TEST_CASE("of a backend that lives its status is told, and what is wrong with it") {
    PostMortem one = told({.status = Status::ready, .time = begin + 500});
    CHECK(one.verdict == "The backend knrv5 of the key 'doc' runs, and is ready.");
    CHECK_FALSE(one.ended_by);
    CHECK(one.lived == 100'000);
    CHECK(one.next_step == "jamsock logs knrv5");
    CHECK(told({.status = Status::waiting}).verdict ==
          "The backend knrv5 of the key 'doc' is waiting, and not ready yet.");
    BackendInfo stuck = backend_with({.status = Status::hard_terminating});
    stuck.note = "Process 7 can't be killed.";
    one = post_mortem(stuck, {}, 0);
    CHECK(one.verdict ==
          "The backend knrv5 of the key 'doc' is hard-terminating, and has not ended yet.");
    CHECK(one.diagnosis == stuck.note);
    CHECK(one.next_step == "jamsock terminate --hard knrv5");
}

TEST_CASE("a post-mortem is printed as a sentence, what there is, the last lines and a command") {
    StatusChange end = ended(TerminationReason::startuptimeout, signal(SIGKILL));
    end.kind = TerminationKind::hard;
    end.diagnosis = "It listens on port 80.";
    BackendInfo backend = backend_with(end);
    backend.statuses.erase(backend.statuses.begin() + 3);
    const PostMortem one = post_mortem(backend, {"a\x1b[31mb", "last"}, 0);
    CHECK(render_post_mortem(one, begin + 121'000) ==
          "The backend knrv5 of the key 'doc' was killed because it was not ready in time: it was "
          "killed by signal 9 (KILL).\n"
          "  backend    knrv5\n"
          "  service    editor\n"
          "  status     terminated since 1970-01-01T00:17:41.000Z (60 s ago)\n"
          "  reason     hard, startuptimeout\n"
          "  lived      61 s\n"
          "  ready      never\n"
          "  diagnosis  It listens on port 80.\n"
          "  command    /bin/it\n"
          "  directory  /srv\n"
          "Last lines of its output:\n"
          "    a\\x1b[31mb\n"
          "    last\n"
          "Try: jamsock logs knrv5\n");
    const std::string narrow = render_post_mortem(one, begin, 40);
    CHECK(
        narrow.starts_with("The backend knrv5 of the key 'doc' was\n"
                           "killed because it was not ready in time:\n"
                           "it was killed by signal 9 (KILL).\n"
                           "  backend    knrv5\n"));
    CHECK(render_post_mortem(one, begin, 30)
              .find("  diagnosis  It listens on\n"
                    "             port 80.\n") != std::string::npos);
    const std::string json = one.to_json();
    CHECK(json.starts_with(R"({"backend":{"id":"knrv5",)"));
    CHECK(
        json.ends_with(R"("ended_by":"startup-limit","lived_ms":61000,)"
                       R"("diagnosis":"It listens on port 80.",)"
                       R"("log_tail":["a\u001b[31mb","last"],"next_step":"jamsock logs knrv5"})"));
}
