// Streams of what backends use of the machine: each second one event. A backend is measured once
// for all who follow it, and not at all while nobody does; who is slow gets the newest. Control
// thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "daemon/asio.h"
#include "daemon/backends/usage.h"
#include "daemon/http/event_stream.h"
#include "daemon/registry/registry.h"

namespace jamsock {

class MetricsStreams {
  public:
    // What each of these backends uses now; nothing where it runs no process.
    using Measure =
        std::function<Task<std::vector<std::optional<Usage>>>(const std::vector<BackendId>&)>;

    // The registry must outlive this.
    MetricsStreams(asio::io_context& loop, const Registry& registry, Measure measure)
        : loop_(loop), registry_(registry), measure_(std::move(measure)) {}

    // Sends a backend's metrics. Ends with it, with the subscriber, or at `stop`.
    Task<> send(const BackendId& backend, EventStream& stream);

    void stop();

  private:
    struct Sampler;
    using SamplerRef = std::shared_ptr<Sampler>;

    SamplerRef sampler_of(const BackendId& backend);
    std::vector<SamplerRef> followed();
    Task<> sample_while_followed();
    Task<> sample();

    asio::io_context& loop_;
    const Registry& registry_;
    Measure measure_;
    std::unordered_map<BackendId, std::weak_ptr<Sampler>> samplers_;
    bool is_sampling_ = false;
    bool stopping_ = false;
};

}  // namespace jamsock
