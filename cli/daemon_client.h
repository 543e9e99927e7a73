// The command line's side of the API: HTTP over the daemon's Unix socket, every wait with a
// deadline. Blocking, one thread. Starts no daemon (daemon_launcher does) and prints nothing.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/deadline.h"
#include "common/api_types.h"
#include "common/service_types.h"
#include "common/timeouts.h"
#include "common/unique_fd.h"

namespace jamsock {

// An API answer, as a type and as it came (for --json).
template <class T>
struct ApiAnswer {
    T value;
    std::string json;
};

// Which backends a list shall have; what is empty restricts nothing.
struct KeyQuery {
    std::string service = {};
    std::string prefix = {};  // of the key
    bool usage = false;       // also the memory that each uses
};

// Why a call got no answer, where it got none.
enum class Breakdown {
    none,
    connection_lost,  // closed before the whole answer was there: the call may or may not be done
    deadline_passed,
    not_understood,  // what listens on the socket doesn't speak as a daemon does
};

// A backend's statuses as the daemon sends them, past ones first (server-sent events), on a
// connection of its own. Its answer begins whenever the daemon is ready to give it.
class StatusStream {
  public:
    explicit StatusStream(UniqueFd connection);  // the request was sent on it
    StatusStream(StatusStream&&) noexcept;
    StatusStream& operator=(StatusStream&&) noexcept;
    ~StatusStream();

    // The ones that have come, in order. Waits until there is one, the stream ends or the deadline
    // passes.
    std::vector<StatusChange> take(Deadline deadline);

    // Whether more may come. Else the backend has ended, or the daemon has, or it refused.
    bool is_open() const { return static_cast<bool>(connection_); }
    // The daemon's answer, where it was no stream.
    const std::optional<Error>& refusal() const { return refusal_; }
    // Can be read when there is something to take; -1 if it isn't open.
    int fd() const { return connection_.get(); }

  private:
    struct Answer;  // as far as it has come

    void receive(Deadline deadline);
    std::vector<StatusChange> take_received();

    UniqueFd connection_;
    std::unique_ptr<Answer> answer_;
    std::optional<Error> refusal_;
};

class DaemonClient {
  public:
    // Connects to the socket in the state directory. Empty if there is no daemon: the socket is
    // absent, or refuses. Every other failure is an error and no proof of a daemon's absence.
    // A call that has no answer after `patience` goes on waiting, for a backend may take long, as
    // long as the daemon answers something else.
    static Result<std::optional<DaemonClient>> open(
        int state_directory_fd, std::chrono::milliseconds patience = timeouts::client_answer,
        Deadline deadline = deadline_in(timeouts::client_answer));

    // POST …/connect; with `wait_until_ready`, the answer comes when the backend is ready.
    Result<ApiAnswer<ConnectResponse>> connect(const ServiceName& service,
                                               const ConnectRequest& request, bool wait_until_ready,
                                               Deadline deadline);
    Result<ApiAnswer<KeyList>> keys(Deadline deadline, const KeyQuery& query = {});
    // Those behind the cursor, as the API writes one ("now": behind all). Where there is none,
    // waits for one so many seconds.
    Result<ApiAnswer<EventList>> events(const std::string& since, std::chrono::seconds wait,
                                        Deadline deadline);
    // The newest first, at most so many (1000).
    Result<ApiAnswer<KeyHistory>> history(const ServiceName& service, const Key& key,
                                          std::size_t most, Deadline deadline);
    Result<ApiAnswer<BackendInfo>> backend(const BackendId& id, Deadline deadline);
    // Both ask and wait for no answer; the connection is the stream's from then on.
    Result<StatusStream> statuses(const BackendId& id, Deadline deadline);
    // … during which the backend counts as used.
    Result<StatusStream> hold(const BackendId& id, Deadline deadline);
    // With `wait_until_ended`, the answer comes when every process of the backend is gone.
    Result<> terminate(const BackendId& id, const TerminateRequest& request, bool wait_until_ended,
                       Deadline deadline);
    Result<ApiAnswer<RevokeResponse>> revoke(const BackendId& id, const RevokeRequest& request,
                                             Deadline deadline);
    Result<> create_service(const ServiceCreateRequest& request, Deadline deadline);
    Result<ApiAnswer<ServiceList>> services(Deadline deadline);
    // With all its environments, whichever `name` has.
    Result<ApiAnswer<ServiceInfo>> service(const ServiceName& name, Deadline deadline);
    Result<> update_service(const ServiceName& name, const ServiceUpdateRequest& change,
                            Deadline deadline);
    Result<> delete_service(const ServiceName& name, const ServiceDeleteRequest& request,
                            Deadline deadline);
    Result<ApiAnswer<VersionInfo>> version(Deadline deadline);

    // About the last call that failed.
    Breakdown breakdown() const { return breakdown_; }

    // As the last answer named it; empty if it named none.
    const std::string& daemon_version() const { return daemon_version_; }

    // Called about ten times a second while a call waits for its answer.
    void while_waiting(std::function<void()> look) { while_waiting_ = std::move(look); }

    // The process that holds the listening socket: the daemon's keeper. 0 if it can't be told.
    pid_t keeper_pid() const;

  private:
    DaemonClient(UniqueFd directory, UniqueFd connection, std::chrono::milliseconds patience)
        : directory_(std::move(directory)),
          connection_(std::move(connection)),
          patience_(patience) {}

    // The answer's body; an answer other than 2xx is the Error in it.
    Result<std::string> call(std::string_view method, const std::string& target, std::string body,
                             Deadline deadline);
    // A call whose answer says no more than that it was done.
    Result<> order(const std::string& target, std::string body, Deadline deadline);
    template <class T>
    Result<ApiAnswer<T>> call_for(std::string_view method, const std::string& target,
                                  std::string body, Deadline deadline);
    Result<StatusStream> stream(const std::string& target, Deadline deadline);
    Result<> reconnect(Deadline deadline);
    bool answer_begins(Deadline until) const;
    Breakdown wait_for_answer(Deadline deadline) const;
    // Whether it does on another connection.
    bool daemon_answers() const;
    tl::unexpected<Error> broken(Breakdown why);

    UniqueFd directory_;
    UniqueFd connection_;  // empty between calls if the daemon closed it
    std::chrono::milliseconds patience_;
    Breakdown breakdown_ = Breakdown::none;
    std::string daemon_version_;
    std::function<void()> while_waiting_;
};

}  // namespace jamsock
