#include "daemon/plain_environment.h"

#include <pwd.h>
#include <unistd.h>

namespace jamsock {

EnvironmentMap plain_environment() {
    EnvironmentMap variables{{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"HOME", "/"}};
    if (const passwd* user = ::getpwuid(::geteuid())) {
        variables["HOME"] = user->pw_dir;
        variables["USER"] = user->pw_name;
        variables["LOGNAME"] = user->pw_name;
        variables["SHELL"] = user->pw_shell;
    }
    return variables;
}

}  // namespace jamsock
