#include "daemon/api/metrics_stream.h"

#include <algorithm>

#include "common/api_types.h"
#include "common/timeouts.h"
#include "daemon/processors.h"

namespace jamsock {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// What those who follow one backend share.
struct MetricsStreams::Sampler {
    explicit Sampler(const BackendId& id) : backend(id) {}

    void take(const std::optional<Usage>& usage, steady_clock::time_point now);

    const BackendId backend;
    std::optional<Usage> last;
    steady_clock::time_point taken_at;  // `last`
    std::string event;                  // the newest
    std::uint64_t events = 0;           // so many were made
    bool has_ended = false;
    Event changed;
};

// The first one is only what the next is set against.
void MetricsStreams::Sampler::take(const std::optional<Usage>& usage,
                                   steady_clock::time_point now) {
    if (usage && last) {
        const nanoseconds used = std::max(usage->cpu_time - last->cpu_time, nanoseconds(0));
        const nanoseconds all = std::max<nanoseconds>(now - taken_at, nanoseconds(1));
        event =
            BackendMetrics{
                .backend_id = backend,
                .memory_used = usage->memory,
                .memory_available = usage->memory_available,
                .cpu_used = static_cast<std::uint64_t>(used.count()),
                .system_cpu = static_cast<std::uint64_t>(all.count()) * usable_processors(),
            }
                .to_json();
        ++events;
    }
    last = usage;
    taken_at = now;
    changed.notify_all();
}

Task<> MetricsStreams::send(const BackendId& backend, EventStream& stream) {
    const SamplerRef sampler = sampler_of(backend);
    std::uint64_t sent = sampler->events;
    bool is_there = true;
    while (is_there && !sampler->has_ended && !stopping_) {
        if (sent < sampler->events) {
            sent = sampler->events;
            const std::string event = sampler->event;
            is_there = co_await stream.send(event);
        } else {
            co_await sampler->changed.wait(stream.presence());
            is_there = !stream.is_over();
        }
    }
}

void MetricsStreams::stop() {
    stopping_ = true;
    for (const SamplerRef& sampler : followed())
        sampler->changed.notify_all();
}

MetricsStreams::SamplerRef MetricsStreams::sampler_of(const BackendId& backend) {
    SamplerRef sampler = samplers_[backend].lock();
    if (sampler) return sampler;
    sampler = std::make_shared<Sampler>(backend);
    samplers_[backend] = sampler;
    if (!is_sampling_) asio::co_spawn(loop_, sample_while_followed(), asio::detached);
    is_sampling_ = true;
    return sampler;
}

std::vector<MetricsStreams::SamplerRef> MetricsStreams::followed() {
    std::erase_if(samplers_, [](const auto& entry) { return entry.second.expired(); });
    std::vector<SamplerRef> all;
    for (const auto& [backend, sampler] : samplers_)
        all.push_back(sampler.lock());
    return all;
}

Task<> MetricsStreams::sample_while_followed() {
    while (!stopping_ && !followed().empty()) {
        const Deadline next = after(timeouts::metrics_pause);
        co_await sample();
        co_await sleep_for(next - steady_clock::now());
    }
    is_sampling_ = false;
}

Task<> MetricsStreams::sample() {
    const std::vector<SamplerRef> samplers = followed();
    std::vector<BackendId> backends;
    for (const SamplerRef& sampler : samplers)
        backends.push_back(sampler->backend);
    const auto usage = co_await measure_(backends);
    const auto now = steady_clock::now();
    for (std::size_t i = 0; i < samplers.size(); ++i) {
        samplers[i]->has_ended = !registry_.lives(backends[i]);
        samplers[i]->take(usage[i], now);
    }
}

}  // namespace jamsock
