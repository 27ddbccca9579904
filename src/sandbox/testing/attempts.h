// A table of things that a companion would try, each in a process of its own that has its filter,
// with what must come of it. A suite derives from CompanionCalls, names its filter, and calls
// outcome().
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <ostream>

#include "base/result.h"
#include "sandbox/sandbox.h"
#include "sandbox/testing/outcome.h"

namespace ringside::sandbox::testing {

inline int error_of(long result) { return result < 0 ? errno : 0; }

// A TCP connection without connect(2).
inline int connect_by_sending() {
  sockaddr_in somewhere{};
  somewhere.sin_family = AF_INET;
  return error_of(::sendto(-1, "x", 1, MSG_FASTOPEN, reinterpret_cast<const sockaddr*>(&somewhere),
                           sizeof somewhere));
}
inline int connect_by_sending_a_message() {
  const msghdr message{};
  return error_of(::sendmsg(-1, &message, MSG_FASTOPEN));
}
inline int send_to_an_address() {
  sockaddr_in somewhere{};
  somewhere.sin_family = AF_INET;
  return error_of(
      ::sendto(-1, "x", 1, 0, reinterpret_cast<const sockaddr*>(&somewhere), sizeof somewhere));
}

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
