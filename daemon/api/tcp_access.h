// Who may ask the API over TCP (CONTRACT, Where it listens). Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/error.h"
#include "daemon/http/router.h"

namespace jamsock {

struct TcpAccess {
    std::string token;                    // of the API; empty: nobody has one
    bool takes_dev_token = false;         // also "-", which SDKs send in dev mode
    std::vector<std::string> hosts = {};  // names of this machine, beside its loopback's

    // Why the request may not pass; nothing: it may. A page must be the API's own, or ask what
    // needs no token; a Host that is not this machine's came of DNS rebinding.
    std::optional<Error> refuses(const Request& request, Access access) const;

    // Whether the request shows the API's token itself.
    bool shows_token(const Request& request) const;

  private:
    bool is_ours(std::string_view given) const;
};

}  // namespace jamsock
