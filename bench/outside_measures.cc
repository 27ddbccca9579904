// What comes to a guest from outside: a file from a server on the host's loopback interface, by the
// network card, and one of a shared folder. Debian's Linux, the same commands for both. From one
// mark on the console to the next, in wall time.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "linux_files.h"
#include "measure.h"
#include "parts.h"
#include "support/file_server.h"
#include "support/qemu.h"
#include "target.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::Deadline;

constexpr const char* kMemory = "256M";
constexpr std::size_t kFetched = std::size_t{64} << 20, kRead = std::size_t{128} << 20;

// Of a machine with PCI.
constexpr const char* kBus =
    "virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci";

struct Guest {
  LinuxFiles files;
  std::string drivers;                // in the order in which they are loaded
  std::vector<std::string> ringside;  // its device
  bool qemu_has_it;
  std::vector<std::string> qemu;
};

// Whether it is named in what QEMU says; otherwise there is no ratio, for the reason that is given.
bool qemu_has(const std::string& name, const std::vector<std::string>& question,
              const std::string& measure, const std::string& what) {
  if (!testing::no_qemu().empty()) return false;
  if (testing::qemu_says(question).find(name) != std::string::npos) return true;
  std::fprintf(stderr, "%s: no ratio: this QEMU was built without %s\n", measure.c_str(),
               what.c_str());
  return false;
}

std::vector<std::string> command(Subject subject, const Guest& guest) {
  if (subject == Subject::Qemu) {
    std::vector<std::string> more = {
        "-kernel", guest.files.kernel, "-initrd", guest.files.initramfs, "-append", kCommandLine};
    more.insert(more.end(), guest.qemu.begin(), guest.qemu.end());
    return testing::qemu_command(1, kMemory, more);
  }
  // Free-running, as QEMU is.
  std::vector<std::string> arguments = {
      "-e", testing::engine(), "--pace",          "off", "-m", kMemory, "-i", guest.files.initramfs,
      "-a", kCommandLine,      guest.files.kernel};
  arguments.insert(arguments.end(), guest.ringside.begin(), guest.ringside.end());
  return ringside_command(arguments);
}

// Seconds for `work`, once what it needs has been prepared; nothing where the subject cannot.
std::optional<double> time_of(Subject subject, const Guest& guest, const std::string& name,
                              const std::string& preparation, const std::string& work) {
  if (subject == Subject::Qemu && !guest.qemu_has_it) return std::nullopt;
  ChildProcess process(command(subject, guest));
  process.await(ChildProcess::Stream::Output, kPrompt, Deadline(std::chrono::minutes(5)));
  // The marks are not in what is typed, which may be echoed.
  process.write_input("for m in " + guest.drivers + "; do insmod /modules/$m.ko; done; " +
                      preparation + "; echo BE''GIN " + name + "; " + work + "; echo E''ND " +
                      name + " status $?; echo DI''GEST " + name + " none\n");
  return await_part(process, name, name).wall;
}

Guest make_network_guest() {
  return {make_linux_files("cloud-amd64", "disk pci net"),
          std::string(kBus) + " failover net_failover virtio_net",
          {"--net", "user"},
          qemu_has("\nuser\n", {"-netdev", "help"}, "network", "slirp (-netdev user)"),
          {"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="}};
}

Values fetch(Subject subject, double) {
  static const Guest guest = make_network_guest();
  static const testing::FileServer server(std::string(kFetched, 'x'));
  const std::optional<double> time =
      time_of(subject, guest, "network",
              "ip link set lo up; ip link set eth0 up; udhcpc -i eth0 -n -q -s /etc/on-lease",
              "wget -q -O /dev/null " + server.url());
  if (!time) return {std::nullopt};
  return {kFetched * 8 / 1e6 / *time};
}

Guest make_share_guest() {
  const std::string folder = RINGSIDE_BENCH_FILES "/shared";
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/file", std::ios::binary) << std::string(kRead, 'x');
  return {make_linux_files("amd64", "disk pci share"),
          std::string(kBus) + " netfs fscache 9pnet 9pnet_virtio 9p",
          {"--share", folder + ",ro"},
          qemu_has("\"virtio-9p-pci\"", {"-device", "help"}, "share", "9p (-device virtio-9p-pci)"),
          {"-fsdev", "local,id=share,security_model=none,readonly=on,path=" + folder, "-device",
           "virtio-9p-pci,fsdev=share,mount_tag=share0"}};
}

Values read_share(Subject subject, double) {
  static const Guest guest = make_share_guest();
  const std::optional<double> time = time_of(
      subject, guest, "share",
      "mkdir /mnt; mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,ro share0 /mnt",
      "dd if=/mnt/file of=/dev/null bs=1M");
  if (!time) return {std::nullopt};
  return {kRead / 1e6 / *time};
}

}  // namespace

std::vector<Measure> outside_measures() {
  return {{"network",
           "a guest reads 64 MiB from a server on the host's loopback",
           {{"from the host by the network card", "Mbit/s", Better::Higher, {0, 200, {}}}},
           fetch},
          {"share",
           "a guest reads 128 MiB of a shared folder",
           {{"from a shared folder", "MB/s", Better::Higher, {0, 100, {}}}},
           read_share}};
}

}  // namespace ringside::bench
