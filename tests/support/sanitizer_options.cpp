// Options of the sanitizers, linked into every program that is built with one: a shim starts without
// any environment that could carry them. Reports go to files because no test reads a daemon's stderr
// or the exit code of a worker that its keeper replaces.
extern "C" {

const char* __asan_default_options() {
    return "log_path=" JAMSOCK_SANITIZER_REPORTS "/address:handle_sigill=1";
}

const char* __tsan_default_options() {
    return "second_deadlock_stack=1:log_path=" JAMSOCK_SANITIZER_REPORTS "/thread";
}

}  // extern "C"
