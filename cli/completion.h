// What may follow the words of an unfinished command line: the scripts in completions/ ask for it
// as `jamsock __complete WORD…`, the last word being the one to complete. Reads the one table of
// commands. `completions` is pure but for the names that run now.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"

namespace jamsock {

inline constexpr std::string_view completion_request = "__complete";

struct Candidate {
    std::string word;   // the whole word, beginning with what is there of it
    std::string about;  // for shells that show it; may be empty
    friend bool operator==(const Candidate&, const Candidate&) = default;
};

struct Completions {
    std::vector<Candidate> candidates;
    bool are_files = false;  // the shell knows them: files, or another command's words
};

// What is there at this moment; each may be slow, and gives nothing where no daemon runs.
struct LiveNames {
    std::function<std::vector<Candidate>()> keys;
    std::function<std::vector<Candidate>()> ids;
    std::function<std::vector<Candidate>()> services;
};

Completions completions(const std::vector<std::string>& words, const LiveNames& live);

// For the scripts: a line for each candidate, with what it is behind a tab; "@files" where the
// shell is to complete. Asks a daemon that runs, starts none, and says nothing of what goes wrong.
void print_completions(const std::vector<std::string>& words, Terminal& terminal);

}  // namespace jamsock
