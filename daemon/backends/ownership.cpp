#include "daemon/backends/ownership.h"

#include <algorithm>
#include <unordered_set>

namespace jamsock {

namespace {

using Pids = std::unordered_set<pid_t>;

bool is_in(const Known& known, const Process& process) {
    const auto found = known.find(process.pid);
    return found != known.end() && found->second == process.start_time;
}

class Judgement {
  public:
    Judgement(const std::vector<LookedAt>& all, const Known& known, const SurvivorQuery& query)
        : all_(all), known_(known), query_(query) {
        for (const LookedAt& one : all_) {
            by_pid_[one.process.pid] = &one;
            below_[one.process.parent].push_back(&one);
            if (one.process.session != one.process.pid)
                in_session_[one.process.session].push_back(&one);
        }
        for (const LookedAt& one : all_) {
            if (!is_known(one.process) && is_root(one)) claim(one);
        }
    }

    Whose of(const LookedAt& one) {
        const Process& process = one.process;
        if (is_known(process)) return Whose::another;
        if (ours_.contains(process.pid)) return Whose::backend;
        if (process.is_zombie() || process.start_time < query_.started || one.uid != query_.uid)
            return Whose::another;
        if (is_below_keeper(process)) return by_leader(one);
        if (one.evidence == Evidence::clean || is_elsewhere(one)) return Whose::another;
        return by_kin(one);
    }

  private:
    bool is_known(const Process& process) const {
        return process.pid == query_.keeper || is_in(known_, process);
    }

    bool is_below_keeper(const Process& process) const {
        return query_.keeper != 0 && process.parent == query_.keeper;
    }

    // An orphan that the keeper got is a shim's, unless it had children before it had shims.
    bool is_root(const LookedAt& one) const {
        return one.evidence == Evidence::marked || is_of_main_session(one.process) ||
               (is_below_keeper(one.process) && query_.innocents.empty());
    }

    // A session's number may be given again once the session is empty: then its leader is another.
    bool is_of_main_session(const Process& process) const {
        const auto& leader = query_.main;
        if (!leader || process.session != leader->pid) return false;
        if (process.start_time < leader->start_time) return false;
        const auto holder = by_pid_.find(leader->pid);
        return holder == by_pid_.end() || holder->second->process.start_time == leader->start_time;
    }

    bool is_elsewhere(const LookedAt& one) const {
        return query_.cgroup != 0 && one.cgroup != 0 && one.cgroup != query_.cgroup;
    }

    // This one, all below it, and all in a session that one of them leads.
    void claim(const LookedAt& root) {
        std::vector<const LookedAt*> left{&root};
        while (!left.empty()) {
            const Process& process = left.back()->process;
            left.pop_back();
            if (is_known(process) || !ours_.insert(process.pid).second) continue;
            for (const auto* group : {&below_, &in_session_}) {
                const auto found = group->find(process.pid);
                if (found != group->end())
                    left.insert(left.end(), found->second.begin(), found->second.end());
            }
        }
    }

    // An orphan of a child that the keeper was born with is known by a session of before, as no
    // backend's process gets into one.
    Whose by_leader(const LookedAt& one) {
        const auto leader = by_pid_.find(one.process.session);
        const bool is_led = leader != by_pid_.end() && leader->first != one.process.pid &&
                            leader->second->process.session == leader->first;
        return is_led ? of(*leader->second) : Whose::unknown;
    }

    Whose by_kin(const LookedAt& one) {
        const auto [verdict, is_new] = kin_.emplace(one.process.pid, Whose::unknown);
        if (!is_new) return verdict->second;  // also where a look that is no snapshot has a circle
        Whose whose = Whose::unknown;
        const LookedAt* leader = living(one.process.session);
        const LookedAt* parent = living(one.process.parent);
        if (leader && leader != &one) {
            whose = of(*leader);
        } else if (parent && parent->process.pid != 1 &&
                   parent->process.start_time >= query_.started) {
            whose = of(*parent);
        }
        return kin_[one.process.pid] = whose;
    }

    // One that has ended says nothing of its kin.
    const LookedAt* living(pid_t pid) const {
        const auto found = by_pid_.find(pid);
        return found == by_pid_.end() || found->second->process.is_zombie() ? nullptr
                                                                            : found->second;
    }

    using Group = std::unordered_map<pid_t, std::vector<const LookedAt*>>;

    const std::vector<LookedAt>& all_;
    const Known& known_;
    const SurvivorQuery& query_;
    std::unordered_map<pid_t, const LookedAt*> by_pid_;
    Group below_;
    Group in_session_;  // without its leader
    Pids ours_;
    std::unordered_map<pid_t, Whose> kin_;
};

}  // namespace

Known known_among(const std::vector<Process>& all, const SurvivorQuery& query) {
    Known known;
    const auto add = [&](const Process& process) {
        known.emplace(process.pid, process.start_time);
        for (const Process& below : descendants(all, process.pid))
            known.emplace(below.pid, below.start_time);
    };
    for (const Process& process : all) {
        const bool is_innocent = std::ranges::any_of(query.innocents, [&](const Process& innocent) {
            return innocent.pid == process.pid && innocent.start_time == process.start_time;
        });
        const bool is_own = process.pid == query.worker ||
                            std::ranges::find(query.shims, process.pid) != query.shims.end();
        if (is_innocent || is_own) add(process);
    }
    return known;
}

std::vector<Whose> judge(const std::vector<LookedAt>& all, const Known& known,
                         const SurvivorQuery& query) {
    Judgement judgement(all, known, query);
    std::vector<Whose> verdicts;
    verdicts.reserve(all.size());
    for (const LookedAt& one : all)
        verdicts.push_back(judgement.of(one));
    return verdicts;
}

}  // namespace jamsock
