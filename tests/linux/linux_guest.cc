#include "linux/linux_guest.h"

#include <unistd.h>

#include <algorithm>
#include <regex>
#include <stdexcept>

namespace ringside::testing {
namespace {

constexpr auto kConsole = ChildProcess::Stream::Output;

std::vector<std::string> command(const LinuxFiles& files, const LinuxOptions& options) {
  std::vector<std::string> result = {RINGSIDE_PROGRAM,
                                     "-e",
                                     engine(),
                                     "-c",
                                     std::to_string(options.cpus),
                                     "-m",
                                     options.memory,
                                     "-i",
                                     files.initramfs(),
                                     "-a",
                                     std::string("console=") + options.console +
                                         (options.append.empty() ? "" : " " + options.append)};
  result.insert(result.end(), options.arguments.begin(), options.arguments.end());
  result.push_back(files.kernel());
  return result;
}

}  // namespace

std::string LinuxFiles::missing() const {
  for (const std::string& path : {kernel(), initramfs()})
    if (::access(path.c_str(), R_OK) != 0) return path + " is not there; see make test-guests";
  return {};
}

std::string LinuxShell::await_text(std::string_view text, const Deadline& deadline) {
  while (process_.text(kConsole).find(text, seen_) == std::string::npos)
    process_.await_more(kConsole, deadline);
  const std::string& all = process_.text(kConsole);
  const std::size_t at = all.find(text, seen_);
  std::string result = all.substr(seen_, at - seen_);
  seen_ = at + text.size();
  std::erase(result, '\r');
  return result;
}

// The shell is the last to speak at its prompt, the kernel's lines have their own ends.
void LinuxShell::await_prompt(const Deadline& deadline) { await_text("\n" + prompt_, deadline); }

// Marks around the output, which are not in the command as it is typed and perhaps echoed.
void LinuxShell::start(std::string_view command) {
  const std::string number = std::to_string(++number_);
  process_.write_input("echo [$((" + number + "))]; " + std::string(command) + "; echo [$((" +
                       number + ")):$?]\n");
}

LinuxShell::Answer LinuxShell::finish(const Deadline& deadline) {
  const std::string number = std::to_string(number_);
  await_text("[" + number + "]\r\n", deadline);
  Answer answer;
  answer.output = await_text("[" + number + ":", deadline);
  answer.status = std::stoi(await_text("]", deadline));
  await_text(prompt_, deadline);
  return answer;
}

LinuxShell::Answer LinuxShell::run(std::string_view command, const Deadline& deadline) {
  start(command);
  return finish(deadline);
}

std::string LinuxShell::output_of(std::string_view command) {
  Answer answer = run(command);
  if (answer.status != 0) {
    throw std::runtime_error(std::string(command) + " ended with status " +
                             std::to_string(answer.status) + ":\n" + answer.output);
  }
  return std::move(answer.output);
}

void LinuxShell::load_disk_driver() {
  for (const char* module : {"virtio_ring", "virtio", "virtio_mmio", "virtio_pci_modern_dev",
                             "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk"})
    output_of(std::string("insmod /modules/") + module + ".ko");
}

void LinuxShell::load_share_driver() {
  for (const char* module :
       {"virtio_ring", "virtio", "virtio_mmio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev",
        "virtio_pci", "netfs", "fscache", "9pnet", "9pnet_virtio", "9p"})
    output_of(std::string("insmod /modules/") + module + ".ko");
}

void LinuxShell::join_network() {
  for (const char* module :
       {"virtio_ring", "virtio", "virtio_mmio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev",
        "virtio_pci", "failover", "net_failover", "virtio_net"})
    output_of(std::string("insmod /modules/") + module + ".ko");
  output_of("ip link set lo up && ip link set eth0 up");
  output_of("udhcpc -i eth0 -n -q -s /etc/on-lease 2>&1");
}

void LinuxShell::load_vsock_driver() {
  for (const char* module :
       {"virtio_ring", "virtio", "virtio_mmio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev",
        "virtio_pci", "vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport"})
    output_of(std::string("insmod /modules/") + module + ".ko");
}

int LinuxShell::end(std::string_view command) {
  start(command);
  return process_.await_exit(Deadline(std::chrono::seconds(60)));
}

std::string state_of(ChildProcess& process) {
  std::smatch found;
  const std::string error = process.text(ChildProcess::Stream::Error);
  std::regex_search(error, found, std::regex("state: .*"));
  return found.str();
}

LinuxGuest::LinuxGuest(const LinuxFiles& files, const LinuxOptions& options)
    : process_(command(files, options)) {}

std::string LinuxGuest::gdb_target() {
  const std::string line =
      process_.await_line(ChildProcess::Stream::Error, "gdb: listening on 127.0.0.1:");
  return line.substr(line.find("127.0.0.1:"));
}

}  // namespace ringside::testing
