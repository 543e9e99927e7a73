#include "daemon/descriptor_share.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>

#include "common/unique_fd.h"

using namespace jamsock;

TEST_CASE("each use of descriptors leaves some to those that matter more") {
    for (const std::size_t limit : {64, 256, 1024, 1'048'576}) {
        const auto left_free = [&](DescriptorUse use) { return left_free_by(use, limit); };
        CHECK(left_free(DescriptorUse::backend) > left_free(DescriptorUse::proxy_client));
        CHECK(left_free(DescriptorUse::proxy_client) >= 16);
        CHECK(left_free(DescriptorUse::proxy_client) > left_free(DescriptorUse::exchange));
        CHECK(left_free(DescriptorUse::backend) <= limit / 2);
    }
}

TEST_CASE("neither backends nor the proxy may use what the API may, and it not all with streams") {
    for (const std::size_t limit : {64, 80, 256, 1024, 1'048'576}) {
        CHECK(most_api_connections(limit) >= 8);
        CHECK(most_api_connections(limit) < left_free_by(DescriptorUse::exchange, limit));
        const std::size_t for_others = most_api_connections(limit) - most_streams(limit);
        CHECK(for_others == std::min<std::size_t>(most_api_connections(limit) / 2, 256));
    }
    CHECK(most_api_connections(256) == 32);
    CHECK(most_streams(256) == 16);
    CHECK(most_streams(20'000) > 2000);
}

TEST_CASE("over TCP come no more than leave this user a way in, nor as few as there are streams") {
    for (const std::size_t limit : {64, 80, 256, 1024, 1'048'576}) {
        CHECK(most_with_tcp_client(limit) + 2 <= most_api_connections(limit));
        CHECK(most_with_tcp_client(limit) >= most_streams(limit) + 2);
    }
    CHECK(most_with_tcp_client(256) == 24);
}

TEST_CASE("strangers at the proxy and at the API together keep no backend from starting") {
    for (const std::size_t limit : {64, 80, 256, 1024, 20'000, 1'048'576}) {
        CHECK(most_strangers(limit) >= 4);
        CHECK(most_strangers(limit) <= 1024);
        const std::size_t with_api = most_strangers(limit) + most_with_tcp_client(limit);
        CHECK(with_api < limit - left_free_by(DescriptorUse::backend, limit));
    }
    CHECK(most_strangers(1024) == 64);
}

TEST_CASE("open descriptors are counted, and the lowest free one is the next to be given") {
    const std::size_t before = open_descriptors();
    const std::size_t lowest = lowest_free_descriptor();
    const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK(static_cast<std::size_t>(file.get()) == lowest);
    CHECK(open_descriptors() == before + 1);
    CHECK(lowest_free_descriptor() > lowest);
}
