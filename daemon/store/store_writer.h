// What the daemon writes down, as tasks: the store's verbs that write, on a thread with a
// connection of its own. Whoever asks waits for its turn and for the disk, never the thread that it
// is on; a verb that succeeded is committed. One that can't be done within five seconds, as another
// program has the database locked or others wait as well, is StoreBusy and has changed nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/asio.h"
#include "daemon/helper_thread.h"
#include "daemon/store/store.h"

namespace jamsock {

class StoreWriter {
  public:
    // Has the store for itself, on its thread.
    static std::unique_ptr<StoreWriter> on_a_thread(Store store);
    // Writes at once, on the caller's thread: for tests. `store` must outlive this.
    explicit StoreWriter(Store& store) : store_(store) {}

    // As the store's; the arguments are copied.
    Task<Result<>> acquire_key(const BackendRecord& backend, const StatusChange& scheduled);
    Task<Result<>> record_status(const BackendId& backend, const StatusChange& change);
    Task<Result<>> give_up_holder(const std::string& backend);
    Task<Result<>> remember_identity(const Store::IssuedToken& token, const Identity& identity,
                                     std::int64_t now);
    Task<Result<std::size_t>> revoke(const Store::IssuedToken& token);
    Task<Result<std::vector<std::string>>> revoke_user(const BackendId& backend,
                                                       const std::string& user, std::int64_t now);
    Task<Result<>> record_service(const Store::ServiceRow& row);
    Task<Result<>> remove_service(const ServiceName& name);
    Task<Result<std::size_t>> forget_fencing_tokens(std::int64_t floor, std::size_t most);
    Task<Result<std::vector<BackendId>>> forget_ended(std::int64_t before, std::size_t most);
    Task<Result<std::size_t>> forget_revoked(std::int64_t now, std::size_t most);

    std::int64_t last_event() const;
    Histogram write_times() const;

    // From now on nothing is tried for longer than this.
    void hurry(std::chrono::milliseconds limit);
    // Until all that was asked for before is done.
    Task<> finish();

  private:
    explicit StoreWriter(std::unique_ptr<Store> own);
    template <class Verb>
    Task<std::invoke_result_t<Verb, Store&>> write(Verb verb);

    std::unique_ptr<Store> own_;
    Store& store_;
    mutable std::mutex mutex_;  // of these two, as they were after the last write
    std::int64_t last_event_ = 0;
    Histogram write_times_;
    std::atomic<Deadline> end_ = never;
    std::optional<HelperThread> thread_;  // last: it uses all else
};

}  // namespace jamsock
