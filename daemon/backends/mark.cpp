#include "daemon/backends/mark.h"

namespace jamsock {

namespace {

constexpr char separator = '.';

}  // namespace

std::string mark_for(const std::string& directory_identity, const std::string& random) {
    return random + separator + directory_identity;
}

bool is_marked_for(const std::string& directory_identity, const std::string& mark) {
    const auto end_of_random = mark.find(separator);
    return end_of_random == std::string::npos ||
           mark.substr(end_of_random + 1) == directory_identity;
}

}  // namespace jamsock
