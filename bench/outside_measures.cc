// What comes to a guest from outside: a file from a server on the host's loopback interface, by the
// network card, and one of a shared folder.
#include <filesystem>
#include <fstream>

#include "measure.h"
#include "outside_guest.h"
#include "support/file_server.h"

namespace ringside::bench {
namespace {

constexpr std::size_t kFetched = std::size_t{64} << 20, kRead = std::size_t{128} << 20;

OutsideGuest make_network_guest() {
  return {make_linux_files("cloud-amd64", "disk pci net"),
          std::string(kBus) + " failover net_failover virtio_net",
          {"--net", "user"},
          qemu_has("\nuser\n", {"-netdev", "help"}, "network", "slirp (-netdev user)"),
          {"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="}};
}

Values fetch(Subject subject, double) {
  static const OutsideGuest guest = make_network_guest();
  static const testing::FileServer server(std::string(kFetched, 'x'));
  const std::optional<double> time =
      times_of(subject, guest, "network",
               "ip link set lo up; ip link set eth0 up; udhcpc -i eth0 -n -q -s /etc/on-lease",
               {"wget -q -O /dev/null " + server.url()})
          .front();
  if (!time) return {std::nullopt};
  return {kFetched * 8 / 1e6 / *time};
}

OutsideGuest make_share_guest() {
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
  static const OutsideGuest guest = make_share_guest();
  const std::optional<double> time =
      times_of(
          subject, guest, "share",
          "mkdir /mnt; mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,ro share0 /mnt",
          {"dd if=/mnt/file of=/dev/null bs=1M"})
          .front();
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
