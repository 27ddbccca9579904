// Debian's cloud kernel with a busybox initramfs, from nothing to the shell's prompt, 1 vCPU, the
// same command line for both.
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

#include "clock.h"
#include "linux_files.h"
#include "measure.h"
#include "support/qemu.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::Deadline;
using Stream = ChildProcess::Stream;

constexpr const char* kMemory = "512M";

// `qemu` is what QEMU is told more.
std::vector<std::string> command(Subject subject, const std::vector<std::string>& qemu) {
  const LinuxFiles& files = linux_files();
  if (subject == Subject::Qemu) {
    std::vector<std::string> arguments = {"-kernel",       files.kernel, "-initrd",
                                          files.initramfs, "-append",    kCommandLine};
    arguments.insert(arguments.end(), qemu.begin(), qemu.end());
    return testing::qemu_command(1, kMemory, arguments);
  }
  return ringside_command({"--log", "info", "-e", testing::engine(), "-m", kMemory, "-i",
                           files.initramfs, "-a", kCommandLine, files.kernel});
}

struct Resident {
  double all = 0;        // MiB
  double guest_ram = 0;  // of these, what the guest has touched of its RAM
};

// Guest RAM is the largest mapping.
Resident resident(pid_t process) {
  std::ifstream maps("/proc/" + std::to_string(process) + "/smaps");
  Resident result;
  double size = 0, largest = 0;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string key;
    double kilobytes = 0;
    if (!(words >> key >> kilobytes)) continue;
    if (key == "Size:") size = kilobytes;
    if (key != "Rss:") continue;
    result.all += kilobytes / 1024;
    if (size <= largest) continue;
    largest = size;
    result.guest_ram = kilobytes / 1024;
  }
  return result;
}

// "N instructions, ..." of the log.
std::optional<double> instructions(const std::string& log) {
  const std::size_t end = log.find(" instructions, ");
  if (end == std::string::npos) return std::nullopt;
  const std::size_t begin = log.find_last_not_of("0123456789", end - 1) + 1;
  return std::stod(log.substr(begin, end - begin));
}

// A guest at the shell's prompt.
struct Booted {
  std::unique_ptr<ChildProcess> process;
  double seconds;  // from nothing
};

Booted boot_guest(Subject subject, const std::vector<std::string>& qemu) {
  const std::vector<std::string> arguments = command(subject, qemu);
  const auto start = Clock::now();
  auto process = std::make_unique<ChildProcess>(arguments);
  process->await(Stream::Output, kPrompt, Deadline(std::chrono::minutes(5)));
  return {std::move(process), since(start)};
}

Values boot(Subject subject, double) {
  const Booted booted = boot_guest(subject, {});
  ChildProcess& process = *booted.process;
  const double used = processor_time(process.pid());
  const Resident memory = resident(process.pid());
  process.write_input("poweroff -f\n");
  process.await_exit(Deadline(std::chrono::minutes(1)));
  Values values = {booted.seconds, used, std::nullopt, memory.all - memory.guest_ram,
                   memory.guest_ram};
  const std::optional<double> count = instructions(process.text(Stream::Error));
  if (count) values[2] = *count / process.processor_time() / 1e6;
  return values;
}

// QEMU's virtual time is a count of instructions too, and it does not wait where the guest sleeps.
Values boot_counted(Subject subject, double) {
  return {boot_guest(subject, {"-icount", "shift=0,sleep=off"}).seconds};
}

}  // namespace

std::vector<Measure> boot_measures() {
  return {{"boot",
           "Debian's cloud kernel to the shell's prompt, 1 vCPU",
           {{"Linux boot to the prompt", "s", Better::Lower, {1, {}, {}}},
            {"its processor time", "s", Better::Lower, {}},
            {"its speed, of processor time", "MIPS", Better::Higher, {0, 100, {}}},
            {"resident memory beside guest RAM", "MiB", Better::Lower, {0, {}, 160}},
            {"guest RAM touched", "MiB", Better::Lower, {}}},
           boot},
          {"icount",
           "the same boot, QEMU counting instructions",
           {{"Linux boot, QEMU with -icount", "s", Better::Lower, {2, {}, {}}}},
           boot_counted}};
}

}  // namespace ringside::bench
