#include "daemon/proxy/refusals.h"

#include <fmt/format.h>

#include "common/api_types.h"
#include "common/text.h"
#include "daemon/http/ascii.h"
#include "daemon/proxy/header_rules.h"
#include "daemon/random_word.h"

namespace jamsock {

namespace {

std::string page(int status, std::string_view sentence) {
    return fmt::format(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{0} {1}</title>\n<h1>{0} {1}</h1>\n"
        "<p>{2}</p>\n",
        status, http_reason(status), html_escaped(sentence));
}

ErrorCode code_of(int status) {
    switch (status) {
        case 413:
            return ErrorCode::payload_too_large;
        case 501:
            return ErrorCode::unsupported;
        default:
            return ErrorCode::invalid_request;
    }
}

}  // namespace

Refusal refusal(ErrorCode code, std::string sentence) {
    return {code, info(code).http_status, std::move(sentence)};
}

Refusal refusal(const HeadFault& fault) {
    return {code_of(fault.status), fault.status, fault.sentence};
}

bool ends_connection(const Refusal& refusal) {
    switch (refusal.code) {
        case ErrorCode::forbidden:
        case ErrorCode::invalid_request:
        case ErrorCode::unsupported:
        case ErrorCode::usage_limit:
            return true;
        default:
            return false;
    }
}

bool prefers_json(const RequestHead& head) {
    bool json = false;
    bool html = false;
    for (const Field& field : head.fields) {
        if (field.known != FieldName::accept) continue;
        for_each_element(field.value, [&](std::string_view range) {
            const std::string_view type = trimmed(range.substr(0, range.find(';')));
            json |= equal_ignoring_case(type, "application/json");
            html |= equal_ignoring_case(type, "text/html");
        });
    }
    return json && !html;
}

OwnResponse response_to(const Refusal& refusal, const Asker& asker) {
    OwnResponse response{.request_id = new_request_id(), .bytes = {}};
    const std::string body = asker.prefers_json
                                 ? error_json({refusal.code, refusal.sentence, {}, {}},
                                              response.request_id, refusal.status)
                                 : page(refusal.status, refusal.sentence);
    response.bytes = own_response_head(
        refusal.status, asker.prefers_json ? "application/json" : "text/html; charset=utf-8",
        body.size(), asker.keep_alive);
    if (!asker.answers_head) response.bytes += body;
    return response;
}

}  // namespace jamsock
