// Debian's programs in a guest: what they print is what the same files print on the host, byte for
// byte. The programs read CPUID and choose their code by it, so that the two compute the same thing
// by different instructions: SSE to SSE4.2 and x87 on x86-64-v2, AVX2 and FMA on x86-64-v3,
// whatever there is on the host.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "linux/guest_checks.h"
#include "linux/linux_guest.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using Stream = ChildProcess::Stream;

const std::string kFiles = RINGSIDE_LINUX_FILES "/programs/";

// The software CPU's two processors. Results of glibc's mathematics differ in the last bit between
// code with and without fused multiplication; the host is asked for the code that the guest has.
struct Processor {
  const char* level;
  const char* left_out;  // of what the C library may use
};
constexpr Processor kV2 = {"v2", "-AVX2,-FMA,-FMA4,-AVX512F"};
constexpr Processor kV3 = {"v3", "-FMA4,-AVX512F"};

// Why the host does not compute as that processor does; empty if it does.
std::string no_comparison(const Processor& processor) {
  const bool is_v3 = processor.level == kV3.level;
  if (!is_v3 || (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0))
    return {};
  return "the host has no AVX2 with FMA";
}

// Why there is no disk with them; empty if there is.
std::string no_programs() {
  if (::access((kFiles + "disk.img").c_str(), R_OK) == 0) return "";
  std::ifstream why(kFiles + "missing");
  std::string line;
  if (std::getline(why, line)) return line;
  return kFiles + "disk.img is not there; see make test-guests";
}

// `program` is the name of a script in tests/linux/programs.
std::string command(const std::string& root, const std::string& program,
                    const Processor& processor) {
  return "chroot " + root +
         " /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C TZ=UTC PYTHONUTF8=1 "
         "PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 EFFORT=" +
         (is_fidelity_whole() ? "10" : "1") +
         " GLIBC_TUNABLES=glibc.cpu.hwcaps=" + processor.left_out + " /bin/sh /programs/" +
         program + ".sh";
}

std::string output_on_the_host(const std::string& program, const Processor& processor) {
  const std::string script = "PATH=$PATH:/usr/sbin && cd '" + kFiles +
                             "' && mount --rbind /dev root/dev && mount -t tmpfs tmp root/tmp && "
                             "exec " +
                             command("root", program, processor) + " 2>&1";
  ChildProcess process({"unshare", "-rm", "sh", "-c", script});
  EXPECT_EQ(process.await_exit(Deadline(std::chrono::minutes(15))), 0)
      << process.text(Stream::Output) << process.text(Stream::Error);
  return process.text(Stream::Output);
}

class LinuxPrograms : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    SKIP_IF(no_programs());
    SKIP_IF(host::no_mount_namespaces());
  }
  // One guest runs them in turn.
  void compare(const std::vector<std::string>& programs, const Processor& processor = kV2,
               unsigned cpus = 1) {
    SKIP_IF(no_comparison(processor));
    std::vector<std::string> arguments = {"-d", kFiles + "disk.img,ro"};
    if (engine() == "soft") arguments.insert(arguments.end(), {"--cpu", processor.level});
    LinuxGuest guest(files_, {.cpus = cpus, .memory = "1G", .arguments = arguments});
    LinuxShell& shell = guest.shell();
    shell.await_prompt();
    shell.load_disk_driver();
    shell.output_of("mkdir /disk && mount -r -t ext4 /dev/vda /disk");
    shell.output_of("mount --bind /dev /disk/dev && mount -t tmpfs tmp /disk/tmp");
    for (const std::string& program : programs) {
      SCOPED_TRACE(program);
      const std::string expected = output_on_the_host(program, processor);
      EXPECT_GT(expected.size(), 100u) << expected;
      // Not to the terminal at once: programs ask what they write to.
      const LinuxShell::Answer answer = shell.run(command("/disk", program, processor) +
                                                      " >/tmp/output 2>&1; echo $? >/tmp/status; " +
                                                      "cat /tmp/output; (exit $(cat /tmp/status))",
                                                  Deadline(std::chrono::minutes(15)));
      EXPECT_EQ(answer.output, expected);
      EXPECT_EQ(answer.status, 0);
    }
    EXPECT_EQ(shell.end("poweroff -f"), 1);
  }

  const LinuxFiles files_{"cloud-amd64"};
};

TEST_F(LinuxPrograms, ComputeWhatTheyComputeOnTheHost) {
  compare({"openssl", "sqlite3", "git", "perl", "xz", "text", "python"});
}

TEST_F(LinuxPrograms, ComputeTheSameWithAvx) {
  compare({"openssl", "perl", "text", "python"}, kV3);
}

TEST_F(LinuxPrograms, CompileWhatTheyCompileOnTheHost) { compare({"gcc"}); }

TEST_F(LinuxPrograms, PassPythonsOwnTests) { compare({"python-tests"}); }

TEST_F(LinuxPrograms, StressNgFindsNothing) { compare({"stress"}, kV2, 2); }

TEST_F(LinuxPrograms, StressNgFindsNothingWithAvx) { compare({"stress"}, kV3, 2); }

// What takes longest, on the other processor.
TEST_F(LinuxPrograms, DoTheRestWithAvx) {
  if (!is_fidelity_whole()) GTEST_SKIP() << "only with FIDELITY=whole";
  compare({"sqlite3", "git", "xz", "gcc", "python-tests"}, kV3);
}

}  // namespace
}  // namespace ringside::testing
