// Which directory a backend is given to keep what shall outlive it (CONTRACT, Connect).
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace jamsock {

class Mount {
  public:
    // The key's own.
    static Mount own() { return Mount({}); }
    // The one of this name, for all who give it: a relative path of parts that are neither empty
    // nor "." nor "..", and at most 255 bytes long; 1024 bytes in all. Else InvalidRequest.
    static Result<Mount> parse(std::string_view path);

    bool is_own() const { return path_.empty(); }
    const std::string& path() const { return path_; }  // empty: the key's own
    friend bool operator==(const Mount&, const Mount&) = default;

  private:
    explicit Mount(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

}  // namespace jamsock
