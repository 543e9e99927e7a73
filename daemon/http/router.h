// Which handler answers a method and a path. Knows no business word: the table is its owner's.
// Immutable once made, so any thread may ask it. Also the decoding of paths and queries.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "daemon/asio.h"
#include "daemon/http/message.h"

namespace jamsock {

// The decoded values of a pattern's {names}.
class PathParameters {
  public:
    // `name` must be one of the pattern's; anything else is a bug and throws.
    const std::string& operator[](std::string_view name) const;
    // The same of a name that only some patterns of a handler have: empty where this one lacks it.
    std::string value_or_empty(std::string_view name) const;
    void add(std::string_view name, std::string value) {
        values_.emplace_back(name, std::move(value));
    }

  private:
    std::vector<std::pair<std::string_view, std::string>> values_;
};

// The request and the parameters stay alive until the handler's task has ended.
using Handler = std::function<Task<Result<Response>>(const Request&, const PathParameters&)>;

// What an endpoint takes and gives, by the names that the API's description has for it.
struct Shapes {
    std::string_view request = {};  // the body's schema; empty: it reads none
    std::string_view answer = {};   // a schema or a response; empty: it only refuses
    std::vector<std::string_view> parameters = {};  // beside the path's: of the query, of the head
    std::string_view see_other = {};                // a response with the status 303; empty: none
};

// Who may ask, over TCP.
enum class Access {
    token,     // who has the API's
    anyone,    // but no page of another origin gets to read it
    any_page,  // also of another origin (CORS)
};

// One row of the table of routes. ("Route" is the proxy's word: from a token to a backend.)
struct Endpoint {
    std::string_view method;
    std::string_view
        pattern;  // "/v2/backend/{id}/status": a {name} takes one whole, non-empty part
    Handler handler;
    std::string_view summary;
    Shapes shapes = {};
    Access access = Access::token;
};

struct Match {
    const Endpoint* endpoint = nullptr;  // null: nothing answers this
    Access access = Access::token;       // its own; without it the widest of the path's endpoints
    PathParameters parameters;
    // With a null endpoint: the methods that the path does answer; empty if it is unknown.
    std::vector<std::string_view> allowed;
};

class Router {
  public:
    // Of two rows that match, the first one answers.
    explicit Router(std::vector<Endpoint> endpoints) : endpoints_(std::move(endpoints)) {}

    // `path` as it came, with one '/' more or not behind a last part that is no {name}. HEAD finds
    // what GET does. A part with a bad percent sign or U+0000 matches no {name}.
    Match find(std::string_view method, std::string_view path) const;

    const std::vector<Endpoint>& endpoints() const { return endpoints_; }

  private:
    std::vector<Endpoint> endpoints_;
};

// `text` with its %XX decoded; nothing if one of them is no %XX, or is %00.
std::optional<std::string> percent_decoded(std::string_view text);

// The decoded value of the first `name` in a query string, in which '+' is a space; empty for a
// name without '='. Parts that can't be decoded are ignored.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);

}  // namespace jamsock
