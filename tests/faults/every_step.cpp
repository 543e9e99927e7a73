// The daemon killed at every step of starting, ending, losing and adopting a backend: alone, and
// with its keeper. Afterwards the key has no backend or one that was adopted, and can be connected
// to; nothing is forgotten and nothing is left.
#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/backend_state.h"
#include "common/runtime_paths.h"
#include "daemon/backends/step.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"
#include "tests/support/proc.h"
#include "tests/support/temporary_directory.h"

using namespace jamsock;
using namespace jamsock::test;

namespace fs = std::filesystem;

namespace {

constexpr bool has_steps = JAMSOCK_HAS_STEPS;

// However the daemon died: what ran and was not lost has an exit.
void check_end_of(const std::vector<StatusChange>& statuses) {
    const StatusChange& end = statuses.back();
    CHECK(end.status == Status::terminated);
    const bool ran =
        std::ranges::find(statuses, Status::waiting, &StatusChange::status) != statuses.end();
    if (ran && end.reason != TerminationReason::lost) CHECK(end.exit.has_value());
}

// One key of one instance, whose daemon will be killed at a step.
class Scene {
  public:
    // `habit`: an option of the test backend's.
    explicit Scene(std::string habit = {}) : habit_(std::move(habit)) {
        home_.output_of({"daemon", "start"});
    }

    void arm(const StepEntry& entry, const std::string& victim) const {
        fs::create_directory(home_.path() + "/steps");
        std::ofstream(file_of(entry)) << victim;
    }
    bool was_reached(const StepEntry& entry) const { return !fs::exists(file_of(entry)); }

    // As a user would; the daemon may die meanwhile.
    void connect() const { home_.jamsock(connect_line()); }
    void terminate(const std::string& grace = "10") const {
        home_.jamsock({"terminate", "--key", key_, "--grace", grace});
    }

    void kill_shim() const { ::kill(shims_of(home_.path()).at(0).pid, SIGKILL); }
    void kill_worker() const { ::kill(home_.worker(), SIGKILL); }

    void start_daemon_again() const {
        REQUIRE(eventually([&] { return home_.jamsock({"daemon", "start"}).exit_code == 0; }));
    }
    pid_t only_process() const {
        const auto running = processes();
        REQUIRE(running.size() == 1);
        return running.front();
    }
    bool is_free() const { return home_.keys().empty() && processes().empty(); }

    void check_free_or_adopted() const;
    void check_connectable() const;
    void check_history() const;
    void check_nothing_is_left() const;

  private:
    std::string file_of(const StepEntry& entry) const {
        return home_.path() + "/steps/" + std::string(entry.name);
    }
    std::vector<std::string> connect_line() const {
        std::vector<std::string> words{"connect", "--key", key_,          "--timeout",
                                       "10",      "--",    test_backend()};
        if (!habit_.empty()) words.push_back(habit_);
        return words;
    }
    std::vector<pid_t> processes() const { return processes_with("SESSION_BACKEND_KEY=" + key_); }
    bool is_adopted() const;
    std::vector<BackendId> all_backends() const;

    Home home_;
    const std::string habit_;
    const std::string key_ = home_.own_key("step");
};

bool Scene::is_adopted() const {
    const auto keys = home_.keys();
    const auto running = processes();
    if (keys.size() != 1 || running.size() != 1) return false;
    const BackendInfo info = home_.backend(keys.front().backend_id);
    return info.statuses.back().status == Status::ready && info.pid == running.front();
}

void Scene::check_free_or_adopted() const {
    CHECK(eventually([&] {
        CHECK(processes().size() <= 1);
        return is_free() || is_adopted();
    }));
}

void Scene::check_connectable() const {
    const RunResult result = home_.jamsock(connect_line());
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(is_adopted());
    std::string url = result.out;
    url.pop_back();
    CHECK(fetch(url).status == 200);
}

std::vector<BackendId> Scene::all_backends() const {
    const SQLite::Database database(home_.path() + "/" + state_file::database);
    SQLite::Statement rows(database, "SELECT id FROM backend");
    std::vector<BackendId> ids;
    while (rows.executeStep())
        ids.push_back(BackendId::parse(rows.getColumn(0).getString()).value());
    return ids;
}

// Every backend that ever was: from its row on, forwards in status and time.
void Scene::check_history() const {
    for (const BackendId& id : all_backends()) {
        const auto statuses = home_.backend(id).statuses;
        REQUIRE(!statuses.empty());
        CHECK(statuses.front().status == Status::scheduled);
        for (std::size_t i = 1; i < statuses.size(); ++i) {
            CHECK(may_follow(statuses[i - 1].status, statuses[i].status));
            CHECK(statuses[i - 1].time <= statuses[i].time);
        }
    }
}

void Scene::check_nothing_is_left() const {
    home_.output_of({"terminate", "--key", key_});
    CHECK(is_free());
    CHECK(eventually([&] {
        return shims_of(home_.path()).empty() && fs::is_empty(home_.path() + "/backends");
    }));
    for (const BackendId& id : all_backends())
        check_end_of(home_.backend(id).statuses);
}

template <class Act>
void at_every_step_of(Phase phase, Act act) {
    if (!has_steps) {
        MESSAGE("skipped: a build without steps");
        return;
    }
    for (const StepEntry& entry : steps) {
        for (const std::string victim : {"worker", "keeper"}) {
            if (entry.phase != phase) continue;
            CAPTURE(entry.name);
            CAPTURE(victim);
            // An end that is to be awaited must not be over before.
            const Scene scene(entry.step == Step::end_awaited ? "--ignore-term" : "");
            act(scene, entry, victim);
            scene.check_connectable();
            scene.check_history();
            scene.check_nothing_is_left();
        }
    }
}

}  // namespace

TEST_CASE("killed at every step of a start") {
    at_every_step_of(Phase::start, [](const Scene& scene, const StepEntry& entry, auto& victim) {
        scene.arm(entry, victim);
        scene.connect();
        REQUIRE(scene.was_reached(entry));
        scene.start_daemon_again();
        scene.check_free_or_adopted();
    });
}

TEST_CASE("killed at every step of an end: what was once recorded or told happens") {
    at_every_step_of(Phase::end, [](const Scene& scene, const StepEntry& entry, auto& victim) {
        scene.connect();
        scene.arm(entry, victim);
        scene.terminate("1");
        REQUIRE(eventually([&] { return scene.was_reached(entry); }));
        scene.start_daemon_again();
        if (entry.step > Step::terminate_asked) {
            CHECK(eventually([&] { return scene.is_free(); }));
        } else {
            scene.check_free_or_adopted();
        }
    });
}

TEST_CASE("killed at every step of losing a shim") {
    const auto act = [](const Scene& scene, const StepEntry& entry, auto& victim) {
        scene.connect();
        scene.arm(entry, victim);
        scene.kill_shim();
        REQUIRE(eventually([&] { return scene.was_reached(entry); }));
        scene.start_daemon_again();
        CHECK(eventually([&] { return scene.is_free(); }));
    };
    at_every_step_of(Phase::loss_of_shim, act);
}

TEST_CASE("killed again at every step of its recovery") {
    at_every_step_of(Phase::recovery, [](const Scene& scene, const StepEntry& entry, auto& victim) {
        scene.connect();
        const pid_t before = scene.only_process();
        scene.arm(entry, victim);
        scene.kill_worker();
        REQUIRE(eventually([&] { return scene.was_reached(entry); }));
        scene.start_daemon_again();
        scene.check_free_or_adopted();
        CHECK(scene.only_process() == before);
    });
}

TEST_CASE("the grace of a call outlives the daemon that was asked") {
    if (!has_steps) return;
    for (const Step step : {Step::shim_told, Step::terminating_recorded}) {
        const StepEntry& entry = steps[static_cast<std::size_t>(step)];
        CAPTURE(entry.name);
        const Scene scene("--ignore-term");
        scene.connect();
        scene.arm(entry, "worker");
        scene.terminate("1");
        CHECK(scene.was_reached(entry));
        scene.start_daemon_again();
        CHECK(eventually([&] { return scene.is_free(); }, std::chrono::seconds(6)));
        scene.check_history();
    }
}

TEST_CASE("only a build for tests has the steps in its daemon") {
    const std::string program = content_of(JAMSOCKD);
    for (const StepEntry& entry : steps)
        CHECK((program.find(entry.name) != std::string::npos) == has_steps);
}
