// What the process that talks with a server of disks may do, and what not, each tried from inside.
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
using ClientCalls = testing::CompanionCalls<allow_only_a_client>;

TEST_P(ClientCalls, SaySo) { EXPECT_EQ(outcome(GetParam().attempt), GetParam().expected); }

const Attempt kAttempts[] = {
    {"OpensToRead", EPERM, [] { return error_of(::open("/etc/passwd", O_RDONLY)); }},
    {"OpensToWrite", EPERM, [] { return error_of(::open("/dev/null", O_WRONLY)); }},
    {"RemovesAFile", EPERM, [] { return error_of(::unlink("/tmp/ringside-none")); }},
    {"MakesADirectory", EPERM, [] { return error_of(::mkdir("/tmp/ringside-x", 0700)); }},
    {"HasTcp", EPERM, [] { return error_of(::socket(AF_INET, SOCK_STREAM, 0)); }},
    {"HasALocalSocket", EPERM, [] { return error_of(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"Connects", EPERM, [] { return error_of(::connect(0, nullptr, 0)); }},
    {"ConnectsBySending", kKilled, connect_by_sending},
    {"ConnectsBySendingAMessage", kKilled, connect_by_sending_a_message},
    {"SendsToAnAddress", EPERM, send_to_an_address},
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
