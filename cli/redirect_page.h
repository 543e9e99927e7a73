// A page on the disk that leads a browser to a URL: so the URL, which is a secret, stands in no
// list of processes.
#pragma once

#include <string>

#include "common/result.h"

namespace jamsock {

std::string redirect_html(const std::string& url);

// The page as a file of the state directory that this user alone can read, under a random name.
// Removed at the end only if it wasn't used: a browser may take its time to read it.
class RedirectPage {
  public:
    // Removes pages of before that have had their time.
    static Result<RedirectPage> write(const std::string& state_directory, const std::string& url);

    RedirectPage(RedirectPage&& other) noexcept;
    RedirectPage& operator=(RedirectPage&&) = delete;
    ~RedirectPage();

    // "file:///…"
    std::string file_url() const;

    void is_used() { is_used_ = true; }

  private:
    explicit RedirectPage(std::string path) : path_(std::move(path)) {}

    std::string path_;  // empty: nothing is left to remove
    bool is_used_ = false;
};

}  // namespace jamsock
