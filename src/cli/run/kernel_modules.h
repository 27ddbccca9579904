// The modules that a guest needs of a Linux kernel's, with those that they need, in an order in
// which they can be loaded. Reads files of the host's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ringside::cli {

struct KernelModule {
  std::string name;  // as the kernel has it, with _ for -
  std::vector<std::byte> content;
};

// The names of the modules that this one needs, out of its file.
std::vector<std::string> needed_by(const std::vector<std::byte>& module);

// `directory`: one that has modules.order, where modules were installed or built. Of `wanted`, what
// is not there is built in, or the kernel has none; it is left out. A file that cannot be read is
// an error.
Result<std::vector<KernelModule>> collect_modules(const std::string& directory,
                                                  const std::vector<std::string>& wanted);

}  // namespace ringside::cli
