// A real Chromium without a screen, driven over W3C WebDriver by Debian's chromedriver. Both end
// with the Browser. One thread.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace httplib {
class Client;
}

namespace jamsock::test {

class Browser {
  public:
    // A name that the browser takes for this machine's loopback, and nobody else does.
    static constexpr const char* foreign_name = "rebound.test";

    // A window; it closes with `close` or the browser. Selectors are CSS, and must match.
    class Window {
      public:
        void go(const std::string& url) const;
        void close() const;
        void type(const std::string& selector, const std::string& text) const;
        void click(const std::string& selector) const;
        std::string text(const std::string& selector) const;   // as it is shown
        std::string value(const std::string& selector) const;  // of a field
        // The result of `script`, the body of a function; its arguments are in `arguments`.
        nlohmann::json run(const std::string& script,
                           const nlohmann::json& arguments = nlohmann::json::array()) const;
        void resize(int width, int height) const;  // of what the page sees
        void prefer_dark(bool dark) const;
        void save_screenshot(const std::string& path) const;
        // A command of the Chrome DevTools Protocol.
        void develop(const std::string& method, const nlohmann::json& parameters) const;

      private:
        friend class Browser;
        Window(Browser& browser, std::string handle)
            : browser_(&browser), handle_(std::move(handle)) {}
        nlohmann::json command(const std::string& target, const nlohmann::json& parameters) const;
        std::string element(const std::string& selector) const;  // its target

        Browser* browser_;
        std::string handle_;
    };

    Browser();
    Browser(const Browser&) = delete;
    Browser& operator=(const Browser&) = delete;
    ~Browser();

    Window open(const std::string& url);
    Window open_tab(const std::string& url);  // beside others in one window, which it hides
    void close_windows();                     // that `open` made

    // What pages and the browser wrote to the console since the last call.
    std::vector<std::string> console();

  private:
    nlohmann::json post(const std::string& target, const nlohmann::json& parameters);
    void select(const std::string& handle);
    Window open_as(const char* type, const std::string& url);
    void start_session();
    void end_session();

    TemporaryDirectory directory_;
    Child driver_;
    std::unique_ptr<httplib::Client> client_;
    std::string session_;  // its target
    std::string first_;    // the window that the browser began with: any command needs one
    std::vector<std::string> opened_;
};

}  // namespace jamsock::test
