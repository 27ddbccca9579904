// The modules that a guest's Linux has loaded, and where their sections are.
//
// While every vCPU is out of the guest; bounded as the list of tasks is.
#pragma once

#include <string>
#include <vector>

#include "guests/linux/linux_kernel.h"

namespace ringside::guests {

struct ModuleSection {
  std::string name;
  Gva address;
};

struct Module {
  std::string name;
  Gva base;  // of its code
  std::uint64_t size = 0;
  char state = '?';  // L: live, C: coming, G: going
  std::vector<ModuleSection> sections;
};

struct ModuleList {
  std::vector<Module> modules;
  Word word = Word::Bits64;
  std::string cut_off;  // why there may be more; empty: that was all
};

inline constexpr std::size_t kMostModules = 2048, kMostSections = 256;

Result<ModuleList> list_modules(const LinuxKernel& kernel);
std::string describe_modules(const ModuleList& list);

}  // namespace ringside::guests
