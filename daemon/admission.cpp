#include "daemon/admission.h"

#include <algorithm>
#include <vector>

namespace jamsock {

namespace {

// One user's strangers.
struct Share {
    std::optional<uid_t> user;
    std::size_t oldest;
    std::size_t count = 0;
};

}  // namespace

std::size_t whom_to_close(std::span<const std::optional<uid_t>> strangers) {
    std::vector<Share> shares;  // by their oldest; there are few users
    for (std::size_t i = 0; i < strangers.size(); ++i) {
        auto share = std::ranges::find(shares, strangers[i], &Share::user);
        if (share == shares.end()) share = shares.insert(share, Share{strangers[i], i});
        ++share->count;
    }
    return std::ranges::max_element(shares, {}, &Share::count)->oldest;
}

}  // namespace jamsock
