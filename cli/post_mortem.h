// Why a backend ended, told from what the daemon knows of it, and what to do next. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/api_types.h"

namespace jamsock {

// `now` in wall milliseconds: until then one has lived that has not ended.
PostMortem post_mortem(BackendInfo backend, std::vector<std::string> log_tail, std::int64_t now);

}  // namespace jamsock
