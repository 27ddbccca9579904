// Debian's kernels on machines of every size, from 1 to 64 vCPUs and from 256 MiB to 16 GiB: all
// processors work, all of the memory is the guest's, and what it does not touch costs the host
// nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <sstream>

#include "linux/guest_checks.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

struct Machine {
  const char* flavour;
  unsigned cpus;
  unsigned memory_mib;
};

std::string name_of(const Machine& machine) {
  std::string name = "Linux_" + std::string(machine.flavour) + "_with_" +
                     std::to_string(machine.cpus) + "_and_" + std::to_string(machine.memory_mib) +
                     "M";
  for (char& c : name)
    if (c == '-' || c == '.') c = '_';
  return name;
}
void PrintTo(const Machine& machine, std::ostream* out) { *out << name_of(machine); }  // for gtest

// A kernel of 32 bits without PAE sees what is below 4 GiB, where devices have the last one.
std::uint64_t visible_mib(const Machine& machine) {
  const bool is_without_pae = std::string_view(machine.flavour) == "686";
  return is_without_pae ? std::min(machine.memory_mib, 3072u) : machine.memory_mib;
}

// Each processor, by name, computes the same.
constexpr const char* kWorkOnEach =
    "i=0; while [ $i -lt $(nproc) ]; do "
    "taskset $(printf %x $((1 << i))) sh -c 'seq 1 2000 | md5sum' >/tmp/sum$i & "
    "i=$((i + 1)); done; wait; cat /tmp/sum* | sort | uniq -c";

class LinuxMachine : public ::testing::TestWithParam<Machine> {
 protected:
  void work();
};

void LinuxMachine::work() {
  const Machine& machine = GetParam();
  const LinuxFiles files(machine.flavour);
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();

  LinuxGuest guest(files,
                   {.cpus = machine.cpus, .memory = std::to_string(machine.memory_mib) + "M"});
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  EXPECT_EQ(shell.output_of("nproc"), std::to_string(machine.cpus) + "\n");
  std::istringstream sums(shell.output_of(kWorkOnEach));
  unsigned alike = 0;
  sums >> alike;
  EXPECT_EQ(alike, machine.cpus) << sums.str();
  EXPECT_THAT(sums.str(), HasSubstr("ea4d0a24dabcaa11f9aa979b872d162b"));
  for (const char* part : {"forks", "threads", "signals", "steps"})
    EXPECT_EQ(shell.output_of(std::string("exercise ") + part), std::string(part) + ": ok\n");
  EXPECT_THAT(shell.output_of("exercise floats"), HasSubstr("floats: ok\n"));

  // The kernel has all but its own part; and on a large machine that is most of what is touched.
  const std::uint64_t total_kib =
      std::stoull(shell.output_of("awk '/^MemTotal:/ { print $2 }' /proc/meminfo"));
  const std::uint64_t visible_kib = visible_mib(machine) * 1024;
  EXPECT_LE(total_kib, visible_kib);
  EXPECT_GE(total_kib + total_kib / 16 + 64 * 1024, visible_kib);
  const HostMemory memory = memory_of(guest.process().pid(), machine.memory_mib * 1024ull);
  EXPECT_LE(memory.guest_ram, 192 * 1024 + 4 * 1024 * machine.cpus + visible_kib / 40)
      << "RAM is touched that the guest did not";
  EXPECT_LE(memory.peak, memory.guest_ram + 128 * 1024);
  RecordProperty("guest_ram_kib", std::to_string(memory.guest_ram));
  RecordProperty("peak_kib", std::to_string(memory.peak));

  check_interrupts(shell.output_of("cat /proc/interrupts"), machine.cpus);
  check_log(shell.output_of("dmesg"));
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

TEST_P(LinuxMachine, IsOneOfItsSize) { work(); }

// Each kernel, each number of vCPUs and each size; boot_test.cc has the others of 1, 2 and 4 vCPUs.
INSTANTIATE_TEST_SUITE_P(Sizes, LinuxMachine,
                         ::testing::Values(Machine{"6.12-amd64", 2, 1024},
                                           Machine{"686-pae", 8, 8192},
                                           Machine{"6.12-cloud-amd64", 16, 512},
                                           Machine{"amd64", 32, 4096},
                                           Machine{"cloud-amd64", 64, 16384}),
                         [](const auto& machine) { return name_of(machine.param); });

class EveryLinuxMachine : public LinuxMachine {
 protected:
  void SetUp() override {
    if (!is_fidelity_whole()) GTEST_SKIP() << "only with FIDELITY=whole";
  }
};

TEST_P(EveryLinuxMachine, IsOneOfItsSize) { work(); }

// Each kernel with each number of vCPUs that it can have, and with each size once.
std::vector<Machine> every_machine() {
  constexpr std::array kFlavours = {"cloud-amd64", "amd64",   "6.12-cloud-amd64",
                                    "6.12-amd64",  "686-pae", "686"};
  constexpr std::array kCpus = {1u, 2u, 4u, 8u, 16u, 32u, 64u};
  constexpr std::array kMemories = {256u, 512u, 1024u, 2048u, 4096u, 8192u, 16384u};
  std::vector<Machine> machines;
  for (std::size_t flavour = 0; flavour < kFlavours.size(); ++flavour) {
    const bool is_32_bit = std::string_view(kFlavours[flavour]).starts_with("686");
    for (std::size_t i = 0; i < kCpus.size(); ++i) {
      if (is_32_bit && kCpus[i] > 32) continue;  // as they are configured
      machines.push_back(
          {kFlavours[flavour], kCpus[i], kMemories[(i + flavour) % kMemories.size()]});
    }
  }
  return machines;
}

INSTANTIATE_TEST_SUITE_P(Sizes, EveryLinuxMachine, ::testing::ValuesIn(every_machine()),
                         [](const auto& machine) { return name_of(machine.param); });

}  // namespace
}  // namespace ringside::testing
