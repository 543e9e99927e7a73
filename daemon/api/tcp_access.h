// Who may ask the API over TCP (CONTRACT, Where it listens). Pure.
#pragma once

#include <optional>
#include <string>

#include "common/error.h"
#include "daemon/http/message.h"

namespace jamsock {

struct TcpAccess {
    std::string token;             // of the API; empty: nobody has one
    bool takes_dev_token = false;  // also "-", which SDKs send in dev mode

    // Why the request may not pass; nothing: it may. A page must be the API's own, or ask what is
    // public; a Host that names no loopback came of DNS rebinding.
    std::optional<Error> refuses(const Request& request, bool is_public) const;

  private:
    bool is_ours(std::string_view given) const;
};

}  // namespace jamsock
