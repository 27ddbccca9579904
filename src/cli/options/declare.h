// The command line's options with their names and their help. What their words mean comes after
// (options.cc).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/options/options.h"

namespace ringside::cli {

// The words as they stand on the command line; meaning comes after.
struct Words {
  std::string cpus, memory, engine = "auto", append, gdb, guest_gdb, qmp, serial, debugcon = "none",
                            date, seed, history, cpu, pace = "on", translate = "on",
                            on_kill = "detach", gdb_allow = "same-user", sandbox = "on",
                            virtio = "pci", log = "warning", firmware_vars, initramfs = "busybox";
  std::vector<std::string> initrd, disks, shares;
  std::string network = "none", vsock = "none", rng = "none", console = "none", vga = "none";
};

// The options, which go into `words` and, where any text will do, into `options`.
void declare(CLI::App& app, Words& words, Options& options);

enum class Command : std::uint8_t { Start, Run };
// What --help says around the options, which are declared; of `run` it leaves out what that
// refuses.
void describe(CLI::App& app, Command command);

}  // namespace ringside::cli
