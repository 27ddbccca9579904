// Which kernel `ringside run` takes where none is named, and what belongs to it: symbols, modules,
// configuration. Looks at the host's files and changes nothing.
#pragma once

#include <string>

#include "base/result.h"

namespace ringside::cli {

// Where is looked. A test has a root of its own.
struct Places {
  std::string directory = ".";  // that of the start
  std::string root = {};        // what stands before /boot and the like
  std::string release;          // of the kernel that the host runs, as uname -r says
};
Places places_of_this_host();

// ./arch/x86/boot/bzImage, a kernel tree's; else the kernel that the host runs, or where that is
// not there, as in a container, the newest of /boot/vmlinuz-*. The error says where was looked.
Result<std::string> find_kernel(const Places& places);

struct KernelFiles {
  std::string kernel;
  std::string version;  // as the kernel's own; empty where its file does not say
  // Each empty where there is none.
  std::string symbols;        // vmlinux
  std::string modules;        // the directory with modules.order
  std::string configuration;  // .config
};
KernelFiles files_of(const std::string& kernel, const Places& places);

}  // namespace ringside::cli
