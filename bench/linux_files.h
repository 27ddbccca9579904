// What the measures with Debian's kernels boot. Made when they ask: by the scripts of the tests
// with Linux guests, from Debian's packages, into the build directory.
#pragma once

#include <string>

namespace ringside::bench {

struct LinuxFiles {
  std::string kernel;
  std::string initramfs;  // a shell on COM1
};

// What it says where that shell waits for a command.
inline constexpr const char* kPrompt = "\nguest# ";
inline constexpr const char* kCommandLine = "console=ttyS0 panic=-1";

const LinuxFiles& linux_files();
// Another of Debian's kernels, and the same initramfs with the drivers that are named as in
// scripts/fetch-debian-kernel.
LinuxFiles make_linux_files(const std::string& flavour, const std::string& drivers);

// Runs a shell's command in the source directory; gives the last line that it prints. Throws with
// what it has complained of if it fails.
std::string run_script(const std::string& command);

}  // namespace ringside::bench
