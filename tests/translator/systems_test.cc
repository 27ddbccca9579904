// Whole operating systems and firmware: the program records a session with whatever it executes by
// itself, and two machines repeat it, one interpreted, one translated from the first execution of
// everything on. They are alike at every million instructions, and end as the recorded run has.
#include <gtest/gtest.h>
#include <unistd.h>

#include "linux/linux_guest.h"
#include "support/host.h"
#include "translator/alike.h"
#include "translator/comparison.h"
#include "translator/whole_machine.h"

namespace ringside::testing {
namespace {

struct System {
  const char* name;
  const char* flavour;
  unsigned cpus;
  hypervisor::Processor processor = hypervisor::Processor::V2;
};
void PrintTo(const System& system, std::ostream* out) { *out << system.name; }  // for gtest

class Systems : public ::testing::TestWithParam<System> {
 protected:
  void SetUp() override {
    SKIP_IF(no_translator());
    if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
  }
  void TearDown() override { ::unlink(journal_.c_str()); }

  // A boot, a little of everything, and a way out.
  void record() {
    const std::string processor(name_of(GetParam().processor));
    LinuxGuest guest(
        files_, {.cpus = GetParam().cpus, .arguments = {"--record", journal_, "--cpu", processor}});
    LinuxShell& shell = guest.shell();
    shell.await_prompt();
    shell.output_of("seq 1 3000 | gzip | gunzip | sha256sum");
    for (const char* part : {"floats", "forks", "threads", "signals", "steps"})
      shell.output_of(std::string("exercise ") + part);
    EXPECT_EQ(shell.end("poweroff -f"), 1);
  }
  cli::Options replaying() const {
    cli::Options options;
    options.cpus = GetParam().cpus;
    options.memory = 256u << 20;
    options.kernel = files_.kernel();
    options.modules = {{files_.initramfs(), ""}};
    options.append = "console=ttyS0";
    options.replay = journal_;
    return options;
  }

  const LinuxFiles files_{GetParam().flavour};
  const std::string journal_ =
      ::testing::TempDir() + "ringside-systems-" + std::to_string(::getpid());
};

TEST_P(Systems, AreTheSame) {
  record();
  const cli::Options machine = replaying();
  const MakeTwins make = [&] {
    return std::make_unique<WholeTwins>(machine, translated(soft::TranslatorOptions{}.code_bytes));
  };
  const Compared compared = compare(make, {});
  ASSERT_TRUE(alike(compared.difference));
  auto& twins = static_cast<WholeTwins&>(*compared.twins);
  for (const Side side : {Side::Interpreted, Side::Translated}) {
    EXPECT_EQ(twins.machine(side).is_as_recorded(), true)
        << twins.machine(side).end() << " after " << compared.instructions << " instructions";
  }
  RecordProperty("instructions", std::to_string(compared.instructions));
}

INSTANTIATE_TEST_SUITE_P(
    Debian, Systems,
    ::testing::Values(System{"Cloud1", "cloud-amd64", 1}, System{"Cloud4", "cloud-amd64", 4},
                      System{"CloudV3", "cloud-amd64", 1, hypervisor::Processor::V3},
                      System{"I686", "686", 1}),
    [](const auto& system) { return system.param.name; });

class Firmware : public ::testing::TestWithParam<const char*> {};

TEST_P(Firmware, IsTheSame) {
  cli::Options machine;
  machine.bios = std::string("/usr/share/seabios/") + GetParam();
  machine.cpus = 2;
  machine.memory = 64u << 20;
  machine.serial = cli::NoStream{};
  machine.debugcon = cli::StdioStream{};
  if (::access(machine.bios.c_str(), R_OK) != 0) GTEST_SKIP() << machine.bios << " is not there";
  const MakeTwins make = [&] { return std::make_unique<WholeTwins>(machine, translated()); };
  Comparison comparison;
  comparison.every = 100'000;
  comparison.until = 50'000'000;
  const Compared compared = compare(make, comparison);
  ASSERT_TRUE(alike(compared.difference));
  auto& twins = static_cast<WholeTwins&>(*compared.twins);
  EXPECT_NE(twins.machine(Side::Translated).output().find("No bootable device."),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Debian, Firmware, ::testing::Values("bios.bin", "bios-256k.bin"),
                         [](const auto& image) {
                           return image.param[4] == '.' ? std::string("In128K") : "In256K";
                         });

}  // namespace
}  // namespace ringside::testing
