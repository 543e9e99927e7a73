#include "daemon/shim/shim.h"

int main() {
    return jamsock::run_shim({});
}
