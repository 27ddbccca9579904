// A booted machine into a file, and out of it again: Debian's cloud kernel at the shell's prompt,
// 1 vCPU, 512 MiB. QEMU's way without a disk image of its own format is to migrate to a file.
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
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
using testing::DebugClient;
using Stream = ChildProcess::Stream;

constexpr const char* kMemory = "512M";

std::string file() { return std::string(RINGSIDE_BENCH_FILES) + "/saved-machine"; }

double save_ringside() {
  ChildProcess process(ringside_command({"-e", testing::engine(), "-m", kMemory, "-i",
                                         linux_files().initramfs, "-a", kCommandLine, "-G", "0",
                                         "--files", RINGSIDE_BENCH_FILES, linux_files().kernel}));
  const std::uint16_t port = port_of(process);
  process.await(Stream::Output, kPrompt, Deadline(std::chrono::minutes(5)));
  DebugClient client(port);
  client.request("?");
  const auto from = Clock::now();
  const std::string said = monitor(client, "save saved-machine");
  const double milliseconds = since(from) * 1e3;
  if (!said.starts_with("saved ")) throw std::runtime_error(said);
  return milliseconds;
}

double save_qemu() {
  // Its monitor is on standard input and output, its COM1 in a file that nobody reads but we.
  const std::string console = file() + ".console";
  std::filesystem::remove(console);
  std::vector<std::string> command = testing::qemu_command(
      1, kMemory,
      {"-kernel", linux_files().kernel, "-initrd", linux_files().initramfs, "-append", kCommandLine,
       "-chardev", "file,id=console,path=" + console});
  for (std::size_t i = 0; i + 1 < command.size(); ++i) {
    if (command[i] == "-serial") command[i + 1] = "chardev:console";
    if (command[i] == "-monitor") command[i + 1] = "stdio";
  }
  ChildProcess process(std::move(command));
  const Deadline deadline(std::chrono::minutes(5));
  for (std::string said; said.find(kPrompt) == std::string::npos;) {
    if (deadline.passed()) throw std::runtime_error("QEMU's guest does not come to its prompt");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ChildProcess reader({"cat", console});
    reader.await_exit();
    said = reader.text(Stream::Output);
    std::erase(said, '\r');
  }
  process.write_input("migrate_set_parameter max-bandwidth 100G\n");
  const auto from = Clock::now();
  process.write_input("migrate \"exec:cat >" + file() + "\"\ninfo status\n");
  process.await(Stream::Output, "(postmigrate)", deadline);
  const double milliseconds = since(from) * 1e3;
  process.write_input("quit\n");
  process.await_exit();
  std::filesystem::remove(console);
  return milliseconds;
}

// From the command to the guest's answer to what is typed.
double restore(Subject subject) {
  const auto from = Clock::now();
  ChildProcess process(subject == Subject::Qemu
                           ? testing::qemu_command(1, kMemory, {"-incoming", "exec:cat " + file()})
                           : ringside_command({"--restore", file(), "--pace", "off"}));
  // QEMU loses what comes before the state of COM1 is loaded.
  process.write_input("\necho $((6*7))\n");
  process.await(Stream::Output, "42", Deadline(std::chrono::minutes(1)));
  return since(from) * 1e3;
}

Values run_once(Subject subject, double) {
  linux_files();
  std::filesystem::remove(file());
  const double saved = subject == Subject::Qemu ? save_qemu() : save_ringside();
  const double size = static_cast<double>(std::filesystem::file_size(file())) / (1u << 20);
  const double restored = restore(subject);
  std::filesystem::remove(file());
  return {saved, restored, size};
}

}  // namespace

std::vector<Measure> saved_measures() {
  return {{"save",
           "a booted Linux of 512 MiB saved, and restored up to the answer to what is typed",
           {{"a machine saved", "ms", Better::Lower, {0, {}, 300}},
            {"restored, to the guest's answer", "ms", Better::Lower, {0, {}, 100}},
            {"its file", "MiB", Better::Lower, {}}},
           run_once}};
}

}  // namespace ringside::bench
