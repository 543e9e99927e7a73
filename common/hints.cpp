#include "common/hints.h"

#include <vector>

#include "common/text.h"

namespace jamsock {

std::string key_command(std::string_view verb, const ServiceName& service,
                        const std::optional<Key>& key) {
    std::vector<std::string> words{"jamsock", std::string(verb)};
    if (service != ServiceName::standard()) words.push_back(service.str());
    if (key && key->str().starts_with('-')) {
        words.push_back("--key=" + key->str());
    } else if (key) {
        words.insert(words.end(), {"--key", key->str()});
    }
    return shell_line(words);
}

std::string give_command(const ServiceName& service) {
    return shell_line({"jamsock", "service", "update", service.str()}) + " -- COMMAND";
}

}  // namespace jamsock
