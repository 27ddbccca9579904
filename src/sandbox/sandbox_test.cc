// What is forbidden is tried from inside, each thing in a process of its own; and what a guest and
// its clients need is done there, too.
#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "sandbox/landlock.h"
#include "sandbox/testing/outcome.h"

namespace ringside::sandbox {
namespace {

using testing::kKilled;
constexpr int kNoSandbox = 254;

// What a process has open before it enters.
struct Scene {
  int file = -1, directory = -1, listener = -1;
  int datagrams = -1;
  int was_listener = -1;  // shut down, so that it could be connected
  int pair[2] = {-1, -1};
  sockaddr_in where{};
  void* memory = nullptr;
};

Scene set_up() {
  Scene scene;
  scene.file = ::memfd_create("scene", 0);
  (void)!::write(scene.file, "text", 4);
  scene.directory = ::open("/", O_RDONLY | O_DIRECTORY);
  (void)::socketpair(AF_UNIX, SOCK_STREAM, 0, scene.pair);
  scene.listener = ::socket(AF_INET, SOCK_STREAM, 0);
  scene.where.sin_family = AF_INET;
  scene.where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* address = reinterpret_cast<const sockaddr*>(&scene.where);
  (void)::bind(scene.listener, address, sizeof scene.where);
  (void)::listen(scene.listener, 1);
  socklen_t size = sizeof scene.where;
  (void)::getsockname(scene.listener, reinterpret_cast<sockaddr*>(&scene.where), &size);
  scene.datagrams = ::socket(AF_INET, SOCK_DGRAM, 0);
  scene.was_listener = ::socket(AF_INET, SOCK_STREAM, 0);
  (void)::listen(scene.was_listener, 1);
  (void)::shutdown(scene.was_listener, SHUT_RDWR);
  scene.memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return scene;
}

// The errno of an attempt in such a process, 0 if it succeeded, kKilled if that was its end.
int outcome_of(int (*attempt)(const Scene&)) {
  return testing::outcome_of([attempt] {
    const Scene scene = set_up();
    return enter(Engine::Soft) ? attempt(scene) : kNoSandbox;
  });
}

int error_of(long result) { return result < 0 ? errno : 0; }

template <typename... Arguments>
int call(long number, Arguments... arguments) {
  return error_of(::syscall(number, arguments...));
}

struct Attempt {
  const char* name;
  int expected;
  int (*attempt)(const Scene&);
};
std::ostream& operator<<(std::ostream& out, const Attempt& attempt) { return out << attempt.name; }

class Sandbox : public ::testing::TestWithParam<Attempt> {
 protected:
  void SetUp() override {
    if (!why_none().empty()) GTEST_SKIP() << "no sandbox in a build with a sanitizer";
    if (outcome_of([](const Scene&) { return 0; }) == kNoSandbox)
      GTEST_SKIP() << "this host filters no system calls";
  }
};

TEST_P(Sandbox, SaysSo) { EXPECT_EQ(outcome_of(GetParam().attempt), GetParam().expected); }

std::string name_of_attempt(const ::testing::TestParamInfo<Attempt>& info) {
  return info.param.name;
}

const Attempt kForbidden[] = {
    // ---- Names of files
    {"OpensAFile", EPERM,
     [](const Scene&) { return error_of(::open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }},
    {"OpensADevice", EPERM,
     [](const Scene&) { return error_of(::open("/dev/null", O_RDWR | O_CLOEXEC)); }},
    {"OpensBelowADirectory", EPERM,
     [](const Scene& scene) { return error_of(::openat(scene.directory, "etc", O_RDONLY)); }},
    {"OpensByTheOldCall", EPERM, [](const Scene&) { return call(SYS_open, "/etc/passwd", 0); }},
    {"OpensByTheNewestCall", EPERM,
     [](const Scene& scene) {
       const std::uint64_t how[3] = {};
       return call(SYS_openat2, scene.directory, "etc", how, sizeof how);
     }},
    {"OpensWhatItHasAgain", EPERM,
     [](const Scene& scene) {
       const std::string path = "/proc/self/fd/" + std::to_string(scene.file);
       return error_of(::open(path.c_str(), O_RDWR));
     }},
    {"OpensByHandle", kKilled,
     [](const Scene& scene) { return call(SYS_open_by_handle_at, scene.directory, nullptr, 0); }},
    {"MakesAFile", EPERM,
     [](const Scene&) { return error_of(::open("/tmp/ringside-x", O_WRONLY | O_CREAT, 0600)); }},
    {"MakesADirectory", EPERM, [](const Scene&) { return error_of(::mkdir("/tmp/r-x", 0700)); }},
    {"MakesALink", EPERM, [](const Scene&) { return error_of(::symlink("/", "/tmp/r-x")); }},
    {"RemovesAFile", EPERM, [](const Scene&) { return error_of(::unlink("/tmp/r-none")); }},
    {"RenamesAFile", EPERM, [](const Scene&) { return error_of(::rename("/tmp/r", "/tmp/r-2")); }},
    {"ReadsADirectory", EPERM,
     [](const Scene& scene) {
       char room[1024];
       return call(SYS_getdents64, scene.directory, room, sizeof room);
     }},
    {"ChangesAMode", EPERM,
     [](const Scene& scene) { return error_of(::fchmod(scene.file, 0777)); }},
    {"ChangesAnOwner", EPERM,
     [](const Scene& scene) { return error_of(::fchown(scene.file, 0, 0)); }},
    {"GoesElsewhere", EPERM, [](const Scene&) { return error_of(::chdir("/")); }},
    // ---- Connections
    {"MakesASocket", EPERM,
     [](const Scene&) { return error_of(::socket(AF_INET, SOCK_STREAM, 0)); }},
    {"MakesALocalSocket", EPERM,
     [](const Scene&) { return error_of(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"TalksToTheKernelByASocket", EPERM,
     [](const Scene&) { return error_of(::socket(AF_NETLINK, SOCK_RAW, 0)); }},
    {"MakesAPair", EPERM,
     [](const Scene&) {
       int pair[2];
       return error_of(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
     }},
    {"Connects", EPERM,
     [](const Scene& scene) {
       return error_of(::connect(scene.pair[0], reinterpret_cast<const sockaddr*>(&scene.where),
                                 sizeof scene.where));
     }},
    {"ConnectsBySending", kKilled,
     [](const Scene& scene) {
       return error_of(::sendto(scene.was_listener, "text", 4, MSG_FASTOPEN,
                                reinterpret_cast<const sockaddr*>(&scene.where),
                                sizeof scene.where));
     }},
    {"ConnectsBySendingAMessage", kKilled,
     [](const Scene& scene) {
       sockaddr_in where = scene.where;
       msghdr message{};
       message.msg_name = &where;
       message.msg_namelen = sizeof where;
       return error_of(::sendmsg(scene.was_listener, &message, MSG_FASTOPEN));
     }},
    {"ConnectsBySendingMessages", kKilled,
     [](const Scene& scene) {
       return error_of(::sendmmsg(scene.was_listener, nullptr, 0, MSG_FASTOPEN));
     }},
    {"ConnectsLater", EPERM,
     [](const Scene& scene) {
       const int on = 1;
       return error_of(
           ::setsockopt(scene.was_listener, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on));
     }},
    {"ShutsAListenerDown", EPERM,
     [](const Scene& scene) { return error_of(::shutdown(scene.listener, SHUT_RDWR)); }},
    {"SendsElsewhere", EPERM,
     [](const Scene& scene) {
       return error_of(::sendto(scene.datagrams, "text", 4, 0,
                                reinterpret_cast<const sockaddr*>(&scene.where),
                                sizeof scene.where));
     }},
    {"Binds", EPERM,
     [](const Scene& scene) {
       return error_of(::bind(scene.pair[0], reinterpret_cast<const sockaddr*>(&scene.where),
                              sizeof scene.where));
     }},
    {"Listens", EPERM, [](const Scene& scene) { return error_of(::listen(scene.pair[0], 1)); }},
    {"AttachesAProgramToASocket", EPERM,
     [](const Scene& scene) {
       return error_of(::setsockopt(scene.pair[0], SOL_SOCKET, SO_ATTACH_FILTER, nullptr, 0));
     }},
    // ---- Programs and processes
    {"Executes", kKilled,
     [](const Scene&) {
       char name[] = "/bin/true";
       char* const arguments[] = {name, nullptr};
       return error_of(::execve(name, arguments, nullptr));
     }},
    {"ExecutesWhatIsOpen", kKilled,
     [](const Scene& scene) {
       return call(SYS_execveat, scene.file, "", nullptr, nullptr, AT_EMPTY_PATH);
     }},
    {"Forks", EPERM, [](const Scene&) { return call(SYS_fork); }},
    {"ForksByClone", EPERM, [](const Scene&) { return call(SYS_clone, SIGCHLD, 0, 0, 0, 0); }},
    {"ForksByTheNewestCall", ENOSYS,
     [](const Scene&) {
       const std::uint64_t how[8] = {};
       return call(SYS_clone3, how, sizeof how);
     }},
    {"Traces", kKilled,
     [](const Scene&) { return error_of(::ptrace(PTRACE_ATTACH, ::getppid(), 0, 0)); }},
    {"IsTraced", kKilled, [](const Scene&) { return error_of(::ptrace(PTRACE_TRACEME, 0, 0, 0)); }},
    {"ReadsAnothersMemory", kKilled,
     [](const Scene&) {
       return call(SYS_process_vm_readv, ::getppid(), nullptr, 0, nullptr, 0, 0);
     }},
    {"WritesAnothersMemory", kKilled,
     [](const Scene&) {
       return call(SYS_process_vm_writev, ::getppid(), nullptr, 0, nullptr, 0, 0);
     }},
    {"TakesAnothersFile", kKilled, [](const Scene&) { return call(SYS_pidfd_getfd, 0, 0, 0); }},
    {"SignalsAnother", EPERM, [](const Scene&) { return error_of(::kill(::getppid(), 0)); }},
    {"SignalsAll", EPERM, [](const Scene&) { return error_of(::kill(-1, 0)); }},
    {"SignalsAThreadOfAnother", EPERM,
     [](const Scene&) { return call(SYS_tgkill, ::getppid(), ::getppid(), 0); }},
    {"SignalsByAFile", EPERM,
     [](const Scene& scene) { return error_of(::fcntl(scene.pair[0], F_SETOWN, ::getppid())); }},
    {"TypesOnTheTerminal", EPERM,
     [](const Scene& scene) {
       char key = '\n';
       return error_of(::ioctl(scene.file, TIOCSTI, &key));
     }},
    {"CallsKvm", EPERM,
     [](const Scene& scene) { return error_of(::ioctl(scene.file, 0xae80, 0)); }},
    {"ChangesALimitOfAnother", EPERM,
     [](const Scene&) {
       rlimit limit{};
       return error_of(::prlimit(::getppid(), RLIMIT_NOFILE, nullptr, &limit));
     }},
    {"RaisesALimit", EPERM,
     [](const Scene&) {
       const rlimit limit{1 << 20, 1 << 20};
       return error_of(::setrlimit(RLIMIT_NOFILE, &limit));
     }},
    // ---- Code
    {"MapsCode", EPERM,
     [](const Scene&) {
       void* const code =
           ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       return code == MAP_FAILED ? errno : 0;
     }},
    {"MakesDataCode", EPERM,
     [](const Scene& scene) {
       return error_of(::mprotect(scene.memory, 4096, PROT_READ | PROT_EXEC));
     }},
    {"MakesDataCodeByAKey", EPERM,
     [](const Scene& scene) {
       return call(SYS_pkey_mprotect, scene.memory, 4096, PROT_READ | PROT_EXEC, -1);
     }},
    // ---- Rights, and other views of the system
    {"BecomesAnother", EPERM, [](const Scene&) { return call(SYS_setuid, 1); }},
    {"GainsCapabilities", EPERM, [](const Scene&) { return call(SYS_capset, nullptr, nullptr); }},
    {"IsDumpableAgain", EPERM,
     [](const Scene&) { return error_of(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }},
    {"FiltersOtherwise", EPERM, [](const Scene&) { return call(SYS_seccomp, 0, 0, nullptr); }},
    {"Mounts", kKilled,
     [](const Scene&) { return error_of(::mount("none", "/mnt", "tmpfs", 0, nullptr)); }},
    {"MovesTheRoot", kKilled, [](const Scene&) { return error_of(::chroot("/")); }},
    {"GetsNamespaces", kKilled, [](const Scene&) { return error_of(::unshare(CLONE_NEWUSER)); }},
    {"JoinsNamespaces", kKilled, [](const Scene&) { return call(SYS_setns, 0, 0); }},
    {"LoadsPrograms", kKilled, [](const Scene&) { return call(SYS_bpf, 0, nullptr, 0); }},
    {"LoadsModules", kKilled, [](const Scene&) { return call(SYS_finit_module, 0, "", 0); }},
    {"LoadsAKernel", kKilled,
     [](const Scene&) { return call(SYS_kexec_file_load, 0, 0, 0, 0, 0); }},
    {"HasARingOfCalls", kKilled, [](const Scene&) { return call(SYS_io_uring_setup, 1, nullptr); }},
    {"HandlesFaults", kKilled, [](const Scene&) { return call(SYS_userfaultfd, 0); }},
    {"CountsEvents", kKilled,
     [](const Scene&) { return call(SYS_perf_event_open, nullptr, 0, 0, 0, 0); }},
    {"TakesKeys", kKilled, [](const Scene&) { return call(SYS_keyctl, 0, 0, 0, 0, 0); }},
    {"CallsAsA32BitProgram", kKilled,
     [](const Scene&) {
       // Where a kernel has no such calls, the processor refuses.
       ::signal(SIGSEGV, [](int) { ::raise(SIGSYS); });
       long result = 20;  // getpid of i386
       __asm__ volatile("int $0x80" : "+a"(result)::"memory");
       return 0;
     }},
};
INSTANTIATE_TEST_SUITE_P(Forbids, Sandbox, ::testing::ValuesIn(kForbidden), name_of_attempt);

const Attempt kPermitted[] = {
    {"ReadsAndWrites", 0,
     [](const Scene& scene) {
       char text[4];
       if (::pread(scene.file, text, 4, 0) != 4 || ::pwrite(scene.file, text, 4, 4) != 4)
         return errno;
       return error_of(::ftruncate(scene.file, 2));
     }},
    {"FlushesADiskInParts", 0,
     [](const Scene& scene) {
       if (::sync_file_range(scene.file, 0, 4, SYNC_FILE_RANGE_WRITE) != 0) return errno;
       return error_of(::fdatasync(scene.file));
     }},
    {"LooksForHoles", 0,
     [](const Scene& scene) { return error_of(::lseek(scene.file, 0, SEEK_DATA)); }},
    {"Accepts", 0,
     [](const Scene& scene) {
       // Nobody is there; the call itself is not refused.
       (void)::fcntl(scene.listener, F_SETFL, O_NONBLOCK);
       const int client = ::accept4(scene.listener, nullptr, nullptr, SOCK_CLOEXEC);
       return client < 0 && errno != EAGAIN ? errno : 0;
     }},
    {"TalksOverAConnection", 0,
     [](const Scene& scene) {
       char text[4] = "abc";
       if (::send(scene.pair[0], text, 4, MSG_NOSIGNAL) != 4) return errno;
       pollfd entry{scene.pair[1], POLLIN, 0};
       if (::poll(&entry, 1, -1) != 1) return errno;
       return ::recv(scene.pair[1], text, 4, MSG_DONTWAIT) == 4 ? 0 : errno;
     }},
    {"HasMemory", 0,
     [](const Scene& scene) { return error_of(::mprotect(scene.memory, 4096, PROT_READ)); }},
    {"StartsThreads", 0,
     [](const Scene&) {
       int done = 0;
       std::thread([&done] { done = 1; }).join();
       return done == 1 ? 0 : 1;
     }},
    {"SignalsItself", 0, [](const Scene&) { return error_of(::raise(SIGCHLD)); }},
    {"AsksForAClock", 0,
     [](const Scene&) {
       timespec now{};
       return call(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
     }},
};
INSTANTIATE_TEST_SUITE_P(Permits, Sandbox, ::testing::ValuesIn(kPermitted), name_of_attempt);

// The keeper may connect, where it looks whether anybody listens at a Unix socket; not so.
TEST_F(Sandbox, TheKeeperConnectsNobodyBySending) {
  EXPECT_EQ(testing::outcome_of([] {
              const Scene scene = set_up();
              if (!forbid_what_nobody_needs()) return kNoSandbox;
              return error_of(::sendto(scene.was_listener, "text", 4, MSG_FASTOPEN,
                                       reinterpret_cast<const sockaddr*>(&scene.where),
                                       sizeof scene.where));
            }),
            kKilled);
}

using Landlock = Sandbox;

// The second wall stands without the first one.
TEST_F(Landlock, ForbidsNamesAlone) {
  if (!landlock_version()) GTEST_SKIP() << "this kernel has no Landlock";
  const pid_t child = ::fork();
  if (child == 0) {
    const int file = ::memfd_create("open", 0);
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !forbid_names()) ::_exit(1);
    if (::open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES) ::_exit(2);
    if (::open("/tmp/ringside-x", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES) ::_exit(3);
    ::_exit(::write(file, "x", 1) == 1 ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Landlock, TheProbeHasALineForEachWall) {
  const std::string text = describe();
  EXPECT_TRUE(text.starts_with("sandbox: system calls are filtered: ")) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
}

}  // namespace
}  // namespace ringside::sandbox
