// A table of things that a companion would try, each in a process of its own that has its filter,
// with what must come of it. A suite derives from CompanionCalls, names its filter, and calls
// outcome().
#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <cerrno>
#include <ostream>

#include "base/result.h"
#include "sandbox/sandbox.h"
#include "sandbox/testing/outcome.h"

namespace ringside::sandbox::testing {

inline int error_of(long result) { return result < 0 ? errno : 0; }

struct Attempt {
  const char* name;
  int expected;  // an errno, 0 if it succeeds, or kKilled
  int (*attempt)();
};
inline std::ostream& operator<<(std::ostream& out, const Attempt& attempt) {
  return out << attempt.name;
}

template <Result<void> (*Filter)()>
class CompanionCalls : public ::testing::TestWithParam<Attempt> {
 protected:
  static int outcome(int (*attempt)()) {
    return outcome_of([attempt] {
      const bool has_filter = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && Filter().has_value();
      return has_filter ? attempt() : kNoSandbox;
    });
  }
  void SetUp() override {
    if (!why_none().empty()) GTEST_SKIP() << "no sandbox in a build with a sanitizer";
    if (outcome([] { return 0; }) == kNoSandbox)
      GTEST_SKIP() << "this host filters no system calls";
  }

 private:
  static constexpr int kNoSandbox = 254;
};

}  // namespace ringside::sandbox::testing
