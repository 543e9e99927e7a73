// While one lives, this thread's C library takes text for UTF-8: only a locale knows the columns of
// a character, and how many bytes it has. C.UTF-8 is always there.
#pragma once

#include <locale.h>

namespace jamsock {

class WideTextLocale {
  public:
    WideTextLocale()
        : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
          before_(locale_ ? ::uselocale(locale_) : nullptr) {}
    WideTextLocale(const WideTextLocale&) = delete;
    WideTextLocale& operator=(const WideTextLocale&) = delete;
    ~WideTextLocale() {
        if (!locale_) return;
        ::uselocale(before_);
        ::freelocale(locale_);
    }

  private:
    locale_t locale_;
    locale_t before_;
};

}  // namespace jamsock
