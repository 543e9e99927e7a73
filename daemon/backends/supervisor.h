// Supervises every backend from its commit to its proven end (DESIGN, The promise): drives it
// through its statuses by what its shim says, and finds what a dead shim left. One coroutine
// follows each backend. It reports through one callback and knows neither store, routes nor
// requests. Control thread; what blocks runs on the helper thread.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "daemon/asio.h"
#include "daemon/backends/backend_files.h"
#include "daemon/backends/backends.h"
#include "daemon/backends/cgroups.h"
#include "daemon/backends/launcher.h"
#include "daemon/backends/port_owner.h"
#include "daemon/backends/shim_channel.h"
#include "daemon/backends/survivors.h"
#include "daemon/backends/usage.h"
#include "daemon/helper_thread.h"

namespace jamsock {

class Supervisor final : public Backends {
  public:
    using OnEvent = std::function<void(const BackendEvent&)>;
    // The backend's main process has exited; its end is told as events, later.
    using OnExit = std::function<void(const BackendId&)>;
    // Until all that was told is recorded. False: it can't be before the daemon stops.
    using Recorded = std::function<Task<bool>()>;

    struct Settings {
        int shim_program;                       // a descriptor of the jamsock-shim binary
        std::int64_t backend_descriptor_limit;  // RLIMIT_NOFILE that backends start with
        // Whether no other daemon can have the state directory: one that came in our place has the
        // shims as well, and no key is given beside it.
        std::function<bool()> keeps_directory;
        std::vector<Process> innocents = {};    // the keeper's children of before (SurvivorQuery)
    };
    // `files`, `helper` and the descriptor must outlive this.
    Supervisor(asio::io_context& loop, const BackendFiles& files, HelperThread& helper,
               Settings settings, OnEvent on_event, OnExit on_exit, Recorded recorded);
    ~Supervisor() override;

    Result<> check_room(std::size_t others) const override;
    Result<> can_limit(const ResourceLimits& limits) const override;
    void start(const BackendRecord& record, const StartSettings& settings) override;
    void terminate(const BackendId& id, const Termination& termination) override;
    Result<std::int64_t> recorded_token(const std::string& lock_name) const override;
    std::optional<pid_t> pid(const BackendId& id) const override;
    std::vector<std::string> log_tail(const BackendId& id, std::size_t count) const override;
    Task<BackendCondition> condition(const BackendId& id) const override;
    Task<std::vector<std::optional<Usage>>> usage(const std::vector<BackendId>& ids) const override;

    // Recovery, once, before anything is started (DESIGN, Recovery). First all directories of live
    // backends are read and their shims connected to; then the owner adopts each one, in the last
    // status that it knows of (`starting` if it knows none).
    struct Found {
        BackendRecord record;
        std::optional<ReadyMark> ready;
    };
    Task<Result<std::vector<Found>>> find_live();
    void adopt(const BackendRecord& record, const StatusChange& last);
    // Whether one that no living directory names is known to have ended, as the history or a later
    // holder of its key shows, or is none of ours. It is adopted as one that has.
    bool has_ended(const BackendRecord& record) const;

    // Lets go of all shims, which carry on alone, and ends the coroutines.
    Task<> stop();

  private:
    struct Supervised;
    using Ref = std::shared_ptr<Supervised>;
    class StartSlot;

    Found take_in(BackendFiles::Found found);
    std::optional<ShimRecord> end_of(const BackendRecord& record) const;
    void spawn(Task<> task);
    Task<> start_and_follow(Ref backend, StartSettings settings);
    Task<Result<>> launch(const Ref& backend, const StartSettings& settings);
    Task<Result<>> bury_last_holder(const Ref& backend);
    Task<Result<>> prepare(const Ref& backend, const StartSettings& settings);
    Task<Result<>> spawn_and_lock(const Ref& backend, const StartSettings& settings);
    Task<> follow_adopted(Ref backend);
    Task<> follow(const Ref& backend);
    Task<> heed_all(const Ref& backend);
    Task<Error> explain_unlocked(const Ref& backend, const std::optional<Message>& answer);
    Task<Error> explain_held_lock(const Ref& backend, const std::string& holder);
    Task<bool> reach_shim(const Ref& backend);
    void heed(const Ref& backend, const Message& message);
    void heed_hello(const Ref& backend, const Message& hello);
    void heed_started(const Ref& backend, const Message& started);
    void heed_ending(const Ref& backend, const Message& ending);
    void heed_main(Supervised& backend, const Message& told);
    void tell_deadline(Supervised& backend);
    void watch(const Ref& backend);
    Task<> watch_startup(Ref backend);
    Task<> watch_readiness(const Ref& backend, std::int64_t give_up_at);
    void give_up_start(Supervised& backend, Error failure);
    void ask_to_end(Supervised& backend);
    Task<> insist(Ref backend);
    Task<> bury(const Ref& backend, const std::optional<ShimRecord>& record);
    SurvivorQuery survivors_of(const Supervised& backend) const;
    Task<> explain_early_end(const Ref& backend, const std::optional<ShimRecord>& record);
    Task<> conclude(const Ref& backend, const std::optional<ShimRecord>& record);
    void settle(const Ref& backend, const std::optional<ShimRecord>& record);
    void put_away(const BackendId& id) const;
    Task<> put_away_recorded(const BackendId& id);
    Task<> put_away_adopted(Ref backend);
    void report_lost(Supervised& backend);
    void change(Supervised& backend, StatusChange change);

    // On the helper thread.
    Task<Result<UniqueFd>> make_directory(const Ref& backend);
    Task<Result<>> make_listener(const Ref& backend);
    Task<Result<>> make_mount(const StartSettings& settings);
    Task<Result<>> make_cgroup(const Ref& backend, const ResourceLimits& limits);
    Task<Result<SpawnedShim>> spawn_shim_of(const Ref& backend, const ShimSpec& spec);
    Task<std::optional<ShimRecord>> read_record_of(const Ref& backend);
    Task<PortReport> report_on_port_of(const Ref& backend);
    Task<std::optional<BackendRecord>> find_last_holder(const Ref& backend);
    Task<std::vector<Process>> search(const SurvivorQuery& query);
    Task<Survivors> kill(const SurvivorQuery& query);
    Task<> put_away_later(const BackendId& id);

    asio::io_context& loop_;
    const BackendFiles& files_;
    HelperThread& helper_;
    HelperThread output_helper_;
    Settings settings_;
    const Cgroups cgroups_ = Cgroups::of_this_process();
    OnEvent on_event_;
    OnExit on_exit_;
    Recorded recorded_;
    std::unordered_map<BackendId, Ref> supervised_;
    std::size_t free_start_slots_;
    Event slot_freed_;
    std::size_t tasks_ = 0;
    bool stopping_ = false;
    Event stopped_;
};

}  // namespace jamsock
