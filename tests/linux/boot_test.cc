// Debian's kernels boot unmodified to a shell, do a system's work, and end as they are told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "linux/guest_checks.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Boot {
  const char* name;
  const char* flavour;
  unsigned cpus;
  const char* ending;
  int status;
};
void PrintTo(const Boot& boot, std::ostream* out) { *out << boot.name; }  // for gtest

// A 64-bit kernel may execute no 32-bit programs (CONFIG_IA32_EMULATION).
bool host_executes(const std::string& program) {
  std::string part = "floats";
  std::string name = program;
  char* const arguments[] = {name.data(), part.data(), nullptr};
  pid_t child = 0;
  const int problem = ::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ);
  if (problem == 0) ::waitpid(child, nullptr, 0);
  return problem != ENOEXEC;
}

// What a program says on the host.
std::string on_the_host(const std::vector<std::string>& command) {
  ChildProcess process(command);
  process.close_input();
  EXPECT_EQ(process.await_exit(), 0) << command.front();
  return process.text(ChildProcess::Stream::Output);
}

class LinuxBoot : public ::testing::TestWithParam<Boot> {};

TEST_P(LinuxBoot, WorksAsASystemAndEnds) {
  const Boot& boot = GetParam();
  const LinuxFiles files(boot.flavour);
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();
  const bool is_32_bit = std::string_view(boot.flavour) == "686";

  LinuxGuest guest(files, {.cpus = boot.cpus});
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  EXPECT_THAT(shell.output_of("uname -a"),
              AllOf(HasSubstr("Linux (none) 6.1."), HasSubstr(std::string("-") + boot.flavour),
                    HasSubstr(is_32_bit ? "i686 GNU/Linux" : "x86_64 GNU/Linux")));
  EXPECT_EQ(shell.output_of("nproc"), std::to_string(boot.cpus) + "\n");
  EXPECT_EQ(shell.output_of("cat /proc/cmdline"), "console=ttyS0\n");

  // The kernel is where its symbols say, without nokaslr.
  EXPECT_THAT(shell.output_of("grep ' _text$' /proc/kallsyms"),
              HasSubstr(is_32_bit ? "c1000000" : "ffffffff81000000"));

  // Digests that are known, and one that the host's tool makes of the same.
  EXPECT_THAT(shell.output_of("dd if=/dev/zero of=/tmp/zeros bs=64k count=64 2>&1"),
              HasSubstr("64+0 records out"));
  EXPECT_THAT(shell.output_of("sha256sum /tmp/zeros"),
              HasSubstr("bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8"));
  EXPECT_EQ(shell.output_of("seq 1 50000 | sha512sum"),
            on_the_host({"sh", "-c", "seq 1 50000 | sha512sum"}));
  EXPECT_EQ(shell.output_of("seq 1 50000 | gzip | gunzip | md5sum"),
            on_the_host({"sh", "-c", "seq 1 50000 | md5sum"}));

  double sum = 0;
  for (int i = 1; i <= 20000; ++i)
    sum += 1.0 / i;
  std::array<char, 40> expected{};
  std::snprintf(expected.data(), expected.size(), "%.11f\n", sum);
  EXPECT_EQ(shell.output_of("awk 'BEGIN { for (i = 1; i <= 20000; i++) s += 1 / i; "
                            "printf \"%.11f\\n\", s }'"),
            expected.data());

  // The same program on the host's processor gives the digest that the guest's must give.
  const std::string exercise = files.program("exercise");
  const std::string floats = shell.output_of("exercise floats");
  EXPECT_THAT(floats, HasSubstr("floats: ok\n"));
  if (host_executes(exercise)) {
    EXPECT_EQ(floats, on_the_host({exercise, "floats"}));
  }
  for (const char* part : {"forks", "threads", "signals", "steps"})
    EXPECT_EQ(shell.output_of(std::string("exercise ") + part), std::string(part) + ": ok\n");
  EXPECT_EQ(shell.output_of("i=0; while [ $i -lt 100 ]; do (true); i=$((i + 1)); done"), "");
  // Everything at once: more work than processors.
  EXPECT_EQ(shell.output_of("for part in forks threads steps; do "
                            "exercise $part >/tmp/$part & done; wait; cat /tmp/[fts]*s"),
            "forks: ok\nsteps: ok\nthreads: ok\n");

  check_interrupts(shell.output_of("cat /proc/interrupts"), boot.cpus);
  check_log(shell.output_of("dmesg"));
  EXPECT_EQ(shell.end(boot.ending), boot.status);
}

INSTANTIATE_TEST_SUITE_P(Debian, LinuxBoot,
                         ::testing::Values(Boot{"Cloud1", "cloud-amd64", 1, "poweroff -f", 1},
                                           Boot{"Cloud2", "cloud-amd64", 2, "reboot -f", 0},
                                           Boot{"Cloud4", "cloud-amd64", 4, "poweroff -f", 1},
                                           Boot{"Generic1", "amd64", 1, "reboot -f", 0},
                                           Boot{"Generic2", "amd64", 2, "poweroff -f", 1},
                                           Boot{"I686With1", "686", 1, "poweroff -f", 1},
                                           Boot{"I686With2", "686", 2, "reboot -f", 0}),
                         [](const auto& boot) { return boot.param.name; });

}  // namespace
}  // namespace ringside::testing
