#include "linux/guest_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>

namespace ringside::testing {

using ::testing::ContainsRegex;
using ::testing::Not;

void check_interrupts(const std::string& table, unsigned cpus) {
  EXPECT_THAT(table, ContainsRegex("IO-APIC +4-edge +ttyS0"));
  EXPECT_THAT(table, ContainsRegex("ERR: +0\n"));
  EXPECT_THAT(table, ContainsRegex("SPU:( +0)+ +Spurious"));
  std::string counts;
  for (unsigned i = 0; i < cpus; ++i)
    counts += " +[1-9][0-9]*";
  EXPECT_THAT(table, ContainsRegex("LOC:" + counts + " +Local timer interrupts"));
}

void check_log(const std::string& log) {
  EXPECT_THAT(log,
              Not(ContainsRegex("Oops|Call Trace|unhandled|Unhandled|WARNING:|BUG:|soft lockup|"
                                "rcu.*stall|segfault|general protection|unchecked MSR")));
}

HostMemory memory_of(pid_t pid, std::uint64_t ram_kib) {
  HostMemory result;
  const std::string directory = "/proc/" + std::to_string(pid);
  std::ifstream status(directory + "/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") status >> result.peak;
  std::ifstream maps(directory + "/smaps");
  bool is_ram = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string name;
    std::uint64_t size = 0;
    fields >> name >> size;
    if (name == "Size:") is_ram = size >= ram_kib;
    if (name == "Rss:" && is_ram) result.guest_ram += size;
  }
  return result;
}

bool is_fidelity_whole() {
  const char* const given = std::getenv("RINGSIDE_FIDELITY");
  return given != nullptr && std::string_view(given) == "whole";
}

}  // namespace ringside::testing
