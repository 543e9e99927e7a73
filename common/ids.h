// The names in an API path: backends' ids, and account/service/environment.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace jamsock {

// The name of one run of a service: [a-z0-9-]{1,45}, such as "knrv5".
class BackendId {
  public:
    static Result<BackendId> parse(std::string_view text);
    const std::string& str() const { return text_; }
    friend auto operator<=>(const BackendId&, const BackendId&) = default;

  private:
    explicit BackendId(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

// Which program runs: account, service, and the variant of it.
class ServiceName {
  public:
    static constexpr std::string_view local_account = "local";
    static constexpr std::string_view default_service = "default";
    static constexpr std::string_view default_environment = "default";

    // The three parts of an API path; "-" stands for the default one, as does an empty
    // environment. Each part is [A-Za-z0-9][A-Za-z0-9_.-]{0,62}.
    static Result<ServiceName> parse(std::string_view account, std::string_view service,
                                     std::string_view environment = {});
    // "editor" or "editor/staging", as the command line takes it; empty: the default service.
    static Result<ServiceName> parse(std::string_view service_and_environment);

    static ServiceName standard();

    // The default environment is the service itself.
    bool is_whole() const { return environment_ == default_environment; }
    ServiceName whole() const;
    // "editor", or "editor/staging" for an environment other than the default one.
    std::string str() const;
    const std::string& account() const { return account_; }
    const std::string& service() const { return service_; }
    const std::string& environment() const { return environment_; }

    friend auto operator<=>(const ServiceName&, const ServiceName&) = default;

  private:
    ServiceName(std::string account, std::string service, std::string environment)
        : account_(std::move(account)),
          service_(std::move(service)),
          environment_(std::move(environment)) {}
    std::string account_;
    std::string service_;
    std::string environment_;
};

}  // namespace jamsock

template <>
struct std::hash<jamsock::BackendId> {
    std::size_t operator()(const jamsock::BackendId& id) const {
        return std::hash<std::string>{}(id.str());
    }
};
