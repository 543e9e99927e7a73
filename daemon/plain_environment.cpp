#include "daemon/plain_environment.h"

#include <pwd.h>
#include <unistd.h>

#include <future>
#include <thread>

namespace jamsock {

namespace {

EnvironmentMap user_variables() {
    const passwd* user = ::getpwuid(::geteuid());
    if (!user) return {};
    return {{"HOME", user->pw_dir},
            {"USER", user->pw_name},
            {"LOGNAME", user->pw_name},
            {"SHELL", user->pw_shell}};
}

}  // namespace

EnvironmentMap plain_environment(std::chrono::milliseconds limit) {
    std::promise<EnvironmentMap> promise;
    std::future<EnvironmentMap> answer = promise.get_future();
    std::thread([promise = std::move(promise)]() mutable {
        promise.set_value(user_variables());
    }).detach();
    EnvironmentMap variables;
    if (answer.wait_for(limit) == std::future_status::ready) variables = answer.get();
    variables.insert({{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"HOME", "/"}});
    return variables;
}

}  // namespace jamsock
