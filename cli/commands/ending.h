// Ends backends and says of each how it ended. What `terminate`, `stop` and `kill` do, `exec
// --stop-after` when its command is done, and `daemon stop --with-backends` before its own work.
#pragma once

#include <string>
#include <vector>

#include "cli/invocation.h"
#include "cli/output_form.h"

namespace jamsock {

class Ending {
  public:
    // Both must outlive it.
    Ending(const TerminateRequest& request, const Invocation& invocation)
        : request_(request), invocation_(invocation) {}

    Result<> begin(const BackendId& id) const { return terminate(id, /*wait=*/false); }

    // After `begin`. A backend that isn't running any more has ended as was wished. On a terminal
    // shows meanwhile how far it is.
    Result<> wait(const BackendId& id) const;

  private:
    Result<> terminate(const BackendId& id, bool wait) const;

    const TerminateRequest& request_;
    const Invocation& invocation_;
};

// The daemon knows each backend's own grace; this is longer than any ending takes.
Deadline ending_deadline();

// What is printed of one that has ended, as a whole line: "knrv5 terminated: exited with code 0"
// (without the history that tells how, only that it did), its id, or all about it as JSON.
std::string describe_end(const BackendId& id, OutputForm form, const Invocation& invocation);

struct EndingStyle {
    bool wait = true;    // until each has ended
    bool quiet = false;  // errors alone are printed
    OutputForm form = OutputForm::text;
};

// Tells all to end before it waits for the first, so that many take no longer than one; what can't
// be ended stops no other. Prints the outcomes and the errors, those in `ids` too. Gives the worst
// exit code.
int end_backends(const std::vector<Result<BackendId>>& ids, const TerminateRequest& request,
                 EndingStyle style, const Invocation& invocation);

}  // namespace jamsock
