// What the process that talks with a server of disks may do, and what not, each tried from inside.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/sandbox.h"
#include "sandbox/system_calls.h"
#include "sandbox/testing/outcome.h"

namespace ringside::sandbox {
namespace {

using testing::kKilled;
using testing::outcome_of;
constexpr int kNoSandbox = 254;

int error_of(long result) { return result < 0 ? errno : 0; }

struct Attempt {
  const char* name;
  int expected;
  int (*attempt)();
};
std::ostream& operator<<(std::ostream& out, const Attempt& attempt) { return out << attempt.name; }

class ClientCalls : public ::testing::TestWithParam<Attempt> {
 protected:
  static int outcome(int (*attempt)()) {
    return outcome_of([attempt] {
      const bool has_filter =
          ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && allow_only_a_client().has_value();
      return has_filter ? attempt() : kNoSandbox;
    });
  }
  void SetUp() override {
    if (!why_none().empty()) GTEST_SKIP() << "no sandbox in a build with a sanitizer";
    if (outcome([] { return 0; }) == kNoSandbox)
      GTEST_SKIP() << "this host filters no system calls";
  }
};

TEST_P(ClientCalls, SaySo) { EXPECT_EQ(outcome(GetParam().attempt), GetParam().expected); }

const Attempt kAttempts[] = {
    {"OpensToRead", EPERM, [] { return error_of(::open("/etc/passwd", O_RDONLY)); }},
    {"OpensToWrite", EPERM, [] { return error_of(::open("/dev/null", O_WRONLY)); }},
    {"RemovesAFile", EPERM, [] { return error_of(::unlink("/tmp/ringside-none")); }},
    {"MakesADirectory", EPERM, [] { return error_of(::mkdir("/tmp/ringside-x", 0700)); }},
    {"HasTcp", EPERM, [] { return error_of(::socket(AF_INET, SOCK_STREAM, 0)); }},
    {"HasALocalSocket", EPERM, [] { return error_of(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"Connects", EPERM, [] { return error_of(::connect(0, nullptr, 0)); }},
    {"Accepts", EPERM, [] { return error_of(::accept(0, nullptr, nullptr)); }},
    {"Forks", EPERM, [] { return error_of(::syscall(SYS_fork)); }},
    {"Executes", kKilled,
     [] {
       char name[] = "/bin/true";
       char* const arguments[] = {name, nullptr};
       return error_of(::execve(name, arguments, nullptr));
     }},
    {"Traces", kKilled, [] { return error_of(::ptrace(PTRACE_ATTACH, ::getppid(), 0, 0)); }},
    {"SignalsAnother", EPERM, [] { return error_of(::kill(::getppid(), 0)); }},
    {"MapsCode", EPERM,
     [] {
       return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                      MAP_FAILED
                  ? errno
                  : 0;
     }},
    {"Waits", 0, [] { return error_of(::poll(nullptr, 0, 0)); }},
};
INSTANTIATE_TEST_SUITE_P(All, ClientCalls, ::testing::ValuesIn(kAttempts),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace ringside::sandbox
