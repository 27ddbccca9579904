// Debian's kernels with a busybox shell on COM1, typed at by a test. Owned by one test; ends with
// it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/guest_process.h"

namespace ringside::testing {

// What tests/linux/prepare made for one of Debian's kernels.
class LinuxFiles {
 public:
  // `flavour` as in linux-image-FLAVOUR: cloud-amd64, amd64, 686.
  explicit LinuxFiles(std::string_view flavour)
      : directory_(std::string(RINGSIDE_LINUX_FILES "/") + std::string(flavour) + "/") {}
  // Why the tests cannot run here; empty if they can.
  std::string missing() const;
  std::string kernel() const { return directory_ + "vmlinuz"; }
  std::string symbols() const { return directory_ + "vmlinux"; }
  std::string initramfs() const { return directory_ + "initramfs.gz"; }
  std::string program(std::string_view name) const { return directory_ + std::string(name); }

 private:
  std::string directory_;
};

// Boots take seconds, on a loaded host many.
inline Deadline boot_deadline() { return Deadline(std::chrono::seconds(400)); }

// The shell of such a guest, on a process's standard streams.
class LinuxShell {
 public:
  explicit LinuxShell(ChildProcess& process, std::string prompt = "guest# ")
      : process_(process), prompt_(std::move(prompt)) {}

  void await_prompt(const Deadline& deadline = boot_deadline());
  struct Answer {
    std::string output;  // without carriage returns
    int status;
  };
  Answer run(std::string_view command,
             const Deadline& deadline = Deadline(std::chrono::seconds(120)));
  // The two halves of run().
  void start(std::string_view command);
  Answer finish(const Deadline& deadline = Deadline(std::chrono::seconds(120)));
  // The output of a command that must succeed; throws with everything it said if it does not.
  std::string output_of(std::string_view command);
  // Debian has the virtio disk's driver as modules.
  void load_disk_driver();
  // The same of the network card; then the guest is on the network as far as DHCP gets it.
  void join_network();
  // The driver of a shared folder; of linux-image-amd64 alone.
  void load_share_driver();
  // The driver of the entropy device, where the driver of a console is there already.
  void load_random_driver() { output_of("insmod /modules/virtio-rng.ko"); }
  // The driver of sockets (vsock).
  void load_vsock_driver();
  // A command that ends the machine: the process's status.
  int end(std::string_view command);

 private:
  std::string await_text(std::string_view text, const Deadline& deadline);

  ChildProcess& process_;
  const std::string prompt_;
  std::size_t seen_ = 0;  // how much of the console was given out
  unsigned number_ = 0;   // of the last command
};

struct LinuxOptions {
  unsigned cpus = 1;
  std::string memory = "256M";
  const char* console = "ttyS0";
  std::string append = {};  // after that
  std::vector<std::string> arguments = {};
};

// The line with instructions and hash that a run with `--log debug` or a journal has at its end.
std::string state_of(ChildProcess& process);

// ringside with such a guest.
class LinuxGuest {
 public:
  explicit LinuxGuest(const LinuxFiles& files, const LinuxOptions& options = {});

  ChildProcess& process() { return process_; }
  LinuxShell& shell() { return shell_; }
  // Where the debugger connects, if there is a -G in the arguments.
  std::string gdb_target();

 private:
  ChildProcess process_;
  LinuxShell shell_{process_};
};

}  // namespace ringside::testing
