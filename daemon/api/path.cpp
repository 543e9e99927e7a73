#include "daemon/api/path.h"

#include <fmt/format.h>

#include "common/text.h"

namespace jamsock {

Result<> check_account(const std::string& account) {
    if (account == ServiceName::local_account || account == "-") return {};
    return fail(ErrorCode::forbidden,
                fmt::format("There is no account {} here, only 'local'.", in_quotes(account)));
}

Result<ServiceName> service_in(const PathParameters& path) {
    if (auto known = check_account(path["account"]); !known) return pass_on(known);
    return ServiceName::parse(path["account"], path["service"], path.value_or_empty("environment"));
}

}  // namespace jamsock
