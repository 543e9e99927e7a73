// Every duration of the product, in one place, with their order stated.
#pragma once

#include <chrono>

namespace jamsock::timeouts {

using namespace std::chrono_literals;

// Starting a backend.
inline constexpr auto first_probe_pause = 200us;  // between readiness probes, doubling …
inline constexpr auto last_probe_pause = 20ms;    // … up to this
inline constexpr auto probe_answer = 2s;          // for one probe's connect and answer
inline constexpr auto ready_try = 10s;            // for one run of a command that shows readiness
inline constexpr auto first_try_pause = 10ms;     // between its runs, doubling …
inline constexpr auto last_try_pause = 1s;        // … up to this
inline constexpr auto startup_limit = 30s;        // until ready, else startuptimeout
inline constexpr auto startup_margin = 1s;        // the shim's, for exec alone, comes so much later
inline constexpr auto lock_retry = 1s;            // the shim on a busy lock
inline constexpr auto locked_message = 5s;        // spawn until the shim says `locked`

// Ending one.
inline constexpr auto grace = 10s;                       // TERM until KILL
inline constexpr std::chrono::seconds max_idle{300};     // nobody uses it: then it is swept
inline constexpr std::chrono::seconds shortest_idle{5};  // in place of a limit of 0
inline constexpr auto idle_look = 1s;                    // between looks for idle backends
inline constexpr auto ending_margin = 5s;  // a connect waits grace + this for a dying holder
inline constexpr auto unresponsive_pause = 100ms;  // between tries to reach a stopped shim
inline constexpr auto unresponsive_shim = 5s;      // from a hard end to its shim's
inline constexpr auto survivor_scan_pause = 20ms;

// HTTP.
inline constexpr auto slow_head = 10s;             // for a whole request head
inline constexpr auto keep_alive = 75s;            // for the next request on an idle connection
inline constexpr auto backend_connect = 5s;        // proxy to backend
inline constexpr auto backend_keep_alive = 250ms;  // a proxy's idle connection to a backend
inline constexpr auto peer_look =
    250ms;  // between looks whether who ended its sending still listens
inline constexpr auto memory_trim = 2s;      // from a wave of ends until its memory is given back
inline constexpr auto request_body = 60s;    // for a whole API request body
inline constexpr auto missing_bytes = 5s;    // for what a client sends beyond its Content-Length
inline constexpr auto response_write = 60s;  // for a client to take an answer of our own
inline constexpr auto metrics_pause = 1s;    // from one event of a metrics stream to the next
inline constexpr auto output_look = 100ms;  // between looks for a backend's output that is followed
inline constexpr auto linger = 2s;          // for a refused client to read why, before we close
inline constexpr auto longest_linger = 30s;  // … while it goes on sending
inline constexpr auto accept_pause = 50ms;   // when no descriptor is free for a new connection
inline constexpr auto server_stop = 2s;      // for the answers in hand when the API stops
inline constexpr auto identity_answer = 5s;  // a proxy thread on the control thread
inline constexpr std::chrono::seconds token_life{3600};  // for new connections

// The daemon and who talks to it.
inline constexpr auto daemon_lock_retry = 2s;   // a keeper on a busy daemon.lock …
inline constexpr auto daemon_lock_pause = 5ms;  // … between its tries
inline constexpr auto daemon_start = 15s;       // the command line waits for a daemon it started
inline constexpr auto daemon_stop = 20s;        // … and for the end of one
inline constexpr auto worker_stop = 5s;         // the keeper, from TERM to KILL of the worker
inline constexpr auto client_margin = 5s;       // `connect` waits startup_limit + this by default
inline constexpr auto client_answer = 30s;      // any call that does not wait for a backend
inline constexpr auto store_write = 5s;         // for the store to write what was asked for …
inline constexpr auto last_store_write = 1s;    // … when the daemon stops
inline constexpr auto log_flush = 1s;           // at the end, for whoever reads the log
inline constexpr auto path_look = 2s;           // at a program that a user names
inline constexpr auto user_look_up = 2s;        // in the password file, or whatever stands for it
inline constexpr auto state_look = 500ms;       // between looks at what the state directory has
inline constexpr auto lost_socket = 4s;         // the command line on a daemon's that was removed
inline constexpr auto checkpoint_pause = 20s;  // between foldings of the database's write-ahead log

// What is swept, in small steps.
inline constexpr auto lock_file_life = 24h;  // since its key was last given
inline constexpr auto sweep_pause = 1h;      // from the end of one sweep to the next

static_assert(first_probe_pause < last_probe_pause && last_probe_pause < startup_limit);
static_assert(first_try_pause < last_try_pause && ready_try < startup_limit);
static_assert(lock_retry < locked_message && locked_message < startup_limit);
static_assert(worker_stop < daemon_stop);
static_assert(linger < longest_linger);

}  // namespace jamsock::timeouts
