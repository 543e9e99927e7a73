// Commands that an error's hint gives, to be pasted into a shell.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/key.h"

namespace jamsock {

// "jamsock VERB [SERVICE] [--key KEY]"; the default service is left out.
std::string key_command(std::string_view verb, const ServiceName& service,
                        const std::optional<Key>& key);

// "jamsock service update SERVICE -- COMMAND"
std::string give_command(const ServiceName& service);

}  // namespace jamsock
