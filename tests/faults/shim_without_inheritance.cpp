// A jamsock-shim that keeps the key's lock to itself: proves that its inheritance by the backend is
// what holds the promise when keeper and shim are both killed.
#include "daemon/shim/shim.h"

int main() {
    return jamsock::run_shim({.backend_inherits_lock = false});
}
