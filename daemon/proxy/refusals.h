// What the proxy answers when a backend doesn't (CONTRACT, The proxy): a sentence, as a small page
// or as the API's error JSON. Pure but for the request's random id.
#pragma once

#include <string>
#include <string_view>

#include "common/error.h"
#include "daemon/http/head_rules.h"

namespace jamsock {

struct Refusal {
    ErrorCode code;
    int status;
    std::string sentence;
};

Refusal refusal(ErrorCode code, std::string sentence);  // with the code's own status
Refusal refusal(const HeadFault& fault);

// Whether it refuses the client, not only where a request leads: then the connection ends with it.
bool ends_connection(const Refusal& refusal);

// How the one who asks wants to be answered.
struct Asker {
    bool answers_head = false;  // it sent HEAD: no body
    bool prefers_json = false;
    bool keep_alive = false;
};

bool prefers_json(const RequestHead& head);

struct OwnResponse {
    std::string request_id;  // also in the JSON: for the log
    std::string bytes;       // head and body
};

OwnResponse response_to(const Refusal& refusal, const Asker& asker);

}  // namespace jamsock
