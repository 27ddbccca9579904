// What Debian's kernels complain about under ringside, they complain about under QEMU as well.
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

// A line of `dmesg -r` that complains: its level is warning or worse, or its words are.
bool complains(const std::string& line) {
  static const std::regex words(
      "oops|panic|unhandled|WARN|BUG|stall|lockup|call trace|cut here|firmware bug|unchecked|"
      "spurious|nobody cared|not responding|disabling irq|timed out|corrupt",
      std::regex::icase);
  static const std::regex excused(
      "panic_on|use \"pci=nocrs\" and report a bug|corrupted low memory|softlockup");
  const bool is_warning = line.size() > 2 && line[0] == '<' && line[1] <= '4' && line[2] == '>';
  return is_warning || (std::regex_search(line, words) && !std::regex_search(line, excused));
}

// Without level, time and numbers, which differ from machine to machine.
std::string kind(const std::string& line) {
  std::string text = std::regex_replace(line, std::regex("^<[0-9]+>\\[[^\\]]*\\] "), "");
  return std::regex_replace(text, std::regex("0x[0-9a-f]+|[0-9]+"), "#");
}

std::set<std::string> complaints(const std::string& log) {
  std::set<std::string> result;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);)
    if (complains(line)) result.insert(kind(line));
  return result;
}

// What `ours` complains about and `theirs` does not.
std::set<std::string> complaints_beyond(const std::string& ours, const std::string& theirs) {
  std::set<std::string> result = complaints(ours);
  for (const std::string& line : complaints(theirs))
    result.erase(line);
  return result;
}

TEST(Complaints, AreRecognised) {
  EXPECT_EQ(complaints("<6>[    0.1] fine\n<4>[    0.2] odd at 0x12\n<6>[    1.0] BUG: 17\n"),
            (std::set<std::string>{"odd at #", "BUG: #"}));
}

TEST(Complaints, OfBothMachinesAreNone) {
  const std::string theirs =
      "<6>[    0.10] fine\n<4>[    0.200000] clock 17 is odd at 0xfee00000\n<4>[    0.3] theirs\n";
  const std::string ours =
      "<5>[    0.01] fine\n<4>[    7.5] clock 3 is odd at 0xfec00000\n<3>[    8.0] unchecked MSR\n";
  EXPECT_EQ(complaints_beyond(ours, theirs), std::set<std::string>{"unchecked MSR"});
  EXPECT_EQ(complaints_beyond(ours, ours), std::set<std::string>());
  EXPECT_EQ(complaints_beyond(ours, "").size(), 2u);
  // The same words without complaint on the other side excuse nothing.
  EXPECT_EQ(complaints_beyond("<4>[ 1] fine\n", theirs), std::set<std::string>{"fine"});
}

std::string log_under_qemu(const LinuxFiles& files, unsigned cpus) {
  ChildProcess qemu({"qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-display", "none",
                     "-no-reboot", "-serial", "stdio", "-m", "256", "-smp", std::to_string(cpus),
                     "-kernel", files.kernel(), "-initrd", files.initramfs(), "-append",
                     "console=ttyS0"});
  LinuxShell shell(qemu);
  shell.await_prompt();
  const std::string log = shell.output_of("dmesg -r");
  shell.end("poweroff -f");
  return log;
}

// The other side of the comparison, which needs it only when ours complains.
TEST(LogUnderQemu, IsOneOfAWholeBoot) {
  const LinuxFiles files("cloud-amd64");
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();
  const std::string log = log_under_qemu(files, 1);
  EXPECT_NE(log.find("Run /init"), std::string::npos) << log;
  EXPECT_EQ(complaints_beyond(log + "<4>[    9.0] of ours alone\n", log),
            std::set<std::string>{"of ours alone"});
}

struct Machine {
  const char* name;
  const char* flavour;
  unsigned cpus;
};
void PrintTo(const Machine& machine, std::ostream* out) { *out << machine.name; }  // for gtest

class LinuxLog : public ::testing::TestWithParam<Machine> {};

TEST_P(LinuxLog, HasNoComplaintThatIsNotThereUnderQemu) {
  const LinuxFiles files(GetParam().flavour);
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();
  std::string ours;
  {
    LinuxGuest guest(files, {.cpus = GetParam().cpus});
    guest.shell().await_prompt();
    ours = guest.shell().output_of("exercise forks threads signals floats steps >&2; dmesg -r");
    guest.shell().end("poweroff -f");
  }
  EXPECT_NE(ours.find("Run /init"), std::string::npos) << ours;
  std::set<std::string> extra = complaints(ours);
  if (!extra.empty()) extra = complaints_beyond(ours, log_under_qemu(files, GetParam().cpus));
  EXPECT_EQ(extra, std::set<std::string>()) << ours;
}

INSTANTIATE_TEST_SUITE_P(Debian, LinuxLog,
                         ::testing::Values(Machine{"Cloud1", "cloud-amd64", 1},
                                           Machine{"Cloud4", "cloud-amd64", 4},
                                           Machine{"Generic2", "amd64", 2},
                                           Machine{"I686With1", "686", 1}),
                         [](const auto& machine) { return machine.param.name; });

}  // namespace
}  // namespace ringside::testing
