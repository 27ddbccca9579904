// What the process with the guest's network may do, and what not, each tried from inside.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "sandbox/landlock.h"
#include "sandbox/system_calls.h"
#include "sandbox/testing/attempts.h"
#include "sandbox/testing/outcome.h"

namespace ringside::sandbox {
namespace {

using testing::Attempt, testing::error_of, testing::kKilled;
using testing::connect_by_sending, testing::connect_by_sending_a_message,
    testing::send_to_an_address;
using testing::outcome_of;
using NetworkCalls = testing::CompanionCalls<allow_only_a_network>;

TEST_P(NetworkCalls, SaySo) { EXPECT_EQ(outcome(GetParam().attempt), GetParam().expected); }

int own_socket(int family, int type, int protocol) {
  return error_of(::socket(family, type | SOCK_CLOEXEC, protocol));
}

sockaddr_in somewhere() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

const Attempt kForbidden[] = {
    {"OpensToWrite", EPERM, [] { return error_of(::open("/dev/null", O_WRONLY)); }},
    {"OpensToReadAndWrite", EPERM, [] { return error_of(::open("/dev/null", O_RDWR)); }},
    {"MakesAFile", EPERM,
     [] { return error_of(::open("/tmp/ringside-x", O_RDONLY | O_CREAT, 0600)); }},
    {"EmptiesAFile", EPERM, [] { return error_of(::open("/tmp/ringside-x", O_RDONLY | O_TRUNC)); }},
    {"OpensByTheNewestCall", EPERM,
     [] {
       const std::uint64_t how[3] = {};
       return error_of(::syscall(SYS_openat2, AT_FDCWD, "/dev/null", how, sizeof how));
     }},
    {"RemovesAFile", EPERM, [] { return error_of(::unlink("/tmp/ringside-none")); }},
    {"MakesADirectory", EPERM, [] { return error_of(::mkdir("/tmp/ringside-x", 0700)); }},
    {"ListsADirectory", EPERM,
     [] {
       char room[1024];
       return error_of(::syscall(SYS_getdents64, 0, room, sizeof room));
     }},
    {"MakesALocalSocket", EPERM, [] { return own_socket(AF_UNIX, SOCK_STREAM, 0); }},
    {"TalksToTheKernel", EPERM, [] { return own_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE); }},
    {"SeesOthersPackets", EPERM, [] { return own_socket(AF_PACKET, SOCK_RAW, 0); }},
    {"WritesTcpItself", EPERM, [] { return own_socket(AF_INET, SOCK_RAW, IPPROTO_TCP); }},
    {"SpeaksAnotherProtocol", EPERM, [] { return own_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP); }},
    {"ConnectsBySending", kKilled, connect_by_sending},
    {"ConnectsBySendingAMessage", kKilled, connect_by_sending_a_message},
    {"Binds", EPERM,
     [] {
       const sockaddr_in address = somewhere();
       return error_of(::bind(::socket(AF_INET, SOCK_STREAM, 0),
                              reinterpret_cast<const sockaddr*>(&address), sizeof address));
     }},
    {"Listens", EPERM, [] { return error_of(::listen(::socket(AF_INET, SOCK_STREAM, 0), 1)); }},
    {"AttachesAProgramToASocket", EPERM,
     [] {
       return error_of(::setsockopt(::socket(AF_INET, SOCK_STREAM, 0), SOL_SOCKET, SO_ATTACH_FILTER,
                                    nullptr, 0));
     }},
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
    {"BecomesAnother", EPERM, [] { return error_of(::syscall(SYS_setuid, 1)); }},
};
INSTANTIATE_TEST_SUITE_P(Forbid, NetworkCalls, ::testing::ValuesIn(kForbidden),
                         [](const auto& each) { return std::string(each.param.name); });

const Attempt kPermitted[] = {
    {"HasTcp", 0, [] { return own_socket(AF_INET, SOCK_STREAM, 0); }},
    {"HasUdpThatDoesNotWait", 0, [] { return own_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0); }},
    {"Connects", 0,
     [] {
       const sockaddr_in address = somewhere();
       return error_of(::connect(::socket(AF_INET, SOCK_DGRAM, 0),
                                 reinterpret_cast<const sockaddr*>(&address), sizeof address));
     }},
    {"SendsToAnAddress", EBADF, send_to_an_address},
    {"ReadsAFile", 0, [] { return error_of(::open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }},
    {"Waits", 0, [] { return error_of(::poll(nullptr, 0, 0)); }},
    {"Aborts", 256 + SIGABRT,
     []() -> int {
       ::signal(SIGABRT, SIG_DFL);
       ::abort();
     }},
};
INSTANTIATE_TEST_SUITE_P(Permit, NetworkCalls, ::testing::ValuesIn(kPermitted),
                         [](const auto& each) { return std::string(each.param.name); });

using NetworkNames = NetworkCalls;

TEST_F(NetworkNames, AreThoseOfReadableFolders) {
  if (!landlock_version()) GTEST_SKIP() << "this kernel has no Landlock";
  EXPECT_EQ(outcome_of([] {
              const std::array<std::string, 2> folders{"/etc", "/ringside-none"};
              if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !forbid_names_outside(folders))
                return 1;
              if (::open("/etc/passwd", O_RDONLY) < 0) return 2;
              if (::open("/proc/self/status", O_RDONLY) >= 0 || errno != EACCES) return 3;
              if (::open("/etc", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES) return 4;
              if (::open("/etc/ringside-x", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
                return 5;
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace ringside::sandbox
