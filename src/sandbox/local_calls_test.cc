// What the process with the guest's sockets may do, and what the one that connects for it, each
// tried from inside.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/system_calls.h"
#include "sandbox/testing/attempts.h"

namespace ringside::sandbox {
namespace {

using testing::Attempt, testing::error_of, testing::kKilled;
using testing::connect_by_sending, testing::connect_by_sending_a_message,
    testing::send_to_an_address;
using LocalSocketCalls = testing::CompanionCalls<allow_only_local_sockets>;
using LocalCallerCalls = testing::CompanionCalls<allow_only_local_calls>;

TEST_P(LocalSocketCalls, SaySo) { EXPECT_EQ(outcome(GetParam().attempt), GetParam().expected); }
TEST_P(LocalCallerCalls, SaySo) { EXPECT_EQ(outcome(GetParam().attempt), GetParam().expected); }

int execute() {
  char name[] = "/bin/true";
  char* const arguments[] = {name, nullptr};
  return error_of(::execve(name, arguments, nullptr));
}

int map_code() {
  void* const mapped =
      ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mapped == MAP_FAILED ? errno : 0;
}

const Attempt kOfBoth[] = {
    {"OpensToRead", EPERM, [] { return error_of(::open("/etc/passwd", O_RDONLY)); }},
    {"OpensToWrite", EPERM, [] { return error_of(::open("/dev/null", O_WRONLY)); }},
    {"RemovesAFile", EPERM, [] { return error_of(::unlink("/tmp/ringside-none")); }},
    {"MakesADirectory", EPERM, [] { return error_of(::mkdir("/tmp/ringside-x", 0700)); }},
    {"HasTcp", EPERM, [] { return error_of(::socket(AF_INET, SOCK_STREAM, 0)); }},
    {"HasALocalDatagramSocket", EPERM, [] { return error_of(::socket(AF_UNIX, SOCK_DGRAM, 0)); }},
    {"ConnectsBySending", kKilled, connect_by_sending},
    {"ConnectsBySendingAMessage", kKilled, connect_by_sending_a_message},
    {"SendsToAnAddress", EPERM, send_to_an_address},
    {"Binds", EPERM, [] { return error_of(::bind(0, nullptr, 0)); }},
    {"Listens", EPERM, [] { return error_of(::listen(0, 1)); }},
    {"Forks", EPERM, [] { return error_of(::syscall(SYS_fork)); }},
    {"Executes", kKilled, execute},
    {"Traces", kKilled, [] { return error_of(::ptrace(PTRACE_ATTACH, ::getppid(), 0, 0)); }},
    {"SignalsAnother", EPERM, [] { return error_of(::kill(::getppid(), 0)); }},
    {"MapsCode", EPERM, map_code},
};
INSTANTIATE_TEST_SUITE_P(All, LocalSocketCalls, ::testing::ValuesIn(kOfBoth),
                         [](const auto& each) { return std::string(each.param.name); });
INSTANTIATE_TEST_SUITE_P(All, LocalCallerCalls, ::testing::ValuesIn(kOfBoth),
                         [](const auto& each) { return std::string(each.param.name); });

const Attempt kWithSockets[] = {
    {"HasALocalSocket", EPERM, [] { return error_of(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"Connects", EPERM, [] { return error_of(::connect(0, nullptr, 0)); }},
    {"Accepts", EBADF, [] { return error_of(::accept4(-1, nullptr, nullptr, 0)); }},
    {"Waits", 0, [] { return error_of(::poll(nullptr, 0, 0)); }},
};
INSTANTIATE_TEST_SUITE_P(Own, LocalSocketCalls, ::testing::ValuesIn(kWithSockets),
                         [](const auto& each) { return std::string(each.param.name); });

const Attempt kThatCall[] = {
    {"HasALocalSocket", 0, [] { return ::socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0; }},
    {"Connects", EBADF, [] { return error_of(::connect(-1, nullptr, 0)); }},
    {"Accepts", EPERM, [] { return error_of(::accept4(-1, nullptr, nullptr, 0)); }},
};
INSTANTIATE_TEST_SUITE_P(Own, LocalCallerCalls, ::testing::ValuesIn(kThatCall),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace ringside::sandbox
