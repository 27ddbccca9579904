// A guest's disks: reads and writes of one that is a file here, and reads of one that an NBD server
// has. The file is in memory, so that the host's disk does not count.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>

#include "base/file_at.h"
#include "base/memory_file.h"
#include "base/testing/temporary_folder.h"
#include "clock.h"
#include "measure.h"
#include "outside_guest.h"
#include "support/child_process.h"
#include "support/deadline.h"
#include "support/host.h"
#include "support/qemu.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::Deadline;

constexpr std::size_t kSize = std::size_t{512} << 20;

// Named by this process's descriptor. What is in it is no zeros.
class DiskInMemory {
 public:
  DiskInMemory() {
    auto file = create_memory_file("disk", kSize);
    if (!file) throw std::runtime_error(file.error().text());
    file_ = std::move(*file);
    std::vector<std::uint64_t> words(1 << 17);
    std::mt19937_64 random(1);
    for (std::size_t at = 0; at < kSize; at += words.size() * sizeof words[0]) {
      for (std::uint64_t& word : words)
        word = random();
      if (!write_at(file_, at, std::as_bytes(std::span(words))))
        throw std::runtime_error("there is no room for a disk in memory");
    }
  }
  std::string path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_.get());
  }

 private:
  Fd file_;
};

// Listens from the start on.
class NbdServer {
 public:
  NbdServer()
      : process_(
            {"qemu-nbd", "-t", "-f", "raw", "--pid-file", ready_, "-k", socket_, disk_.path()}) {
    const Deadline deadline{std::chrono::seconds(20)};
    while (!std::filesystem::exists(ready_)) {
      if (deadline.passed()) throw std::runtime_error("qemu-nbd does not listen");
      let_run(0.01);
    }
  }
  const std::string& socket() const { return socket_; }

 private:
  const testing::TemporaryFolder scratch_;
  const std::string socket_ = scratch_ / "socket", ready_ = scratch_ / "ready";
  const DiskInMemory disk_;
  ChildProcess process_;
};

OutsideGuest make_guest(const std::string& ringside, const std::string& qemu) {
  return {make_linux_files("cloud-amd64", "disk pci"),
          std::string(kBus) + " virtio_blk",
          {"-d", ringside},
          testing::no_qemu().empty(),
          {"-drive", "if=virtio,format=raw,file=" + qemu}};
}

std::optional<double> rate_of(const std::optional<double>& time) {
  if (!time) return std::nullopt;
  return kSize / 1e6 / *time;
}

// Nothing where there is no server.
std::optional<double> read_from_server(Subject subject, const std::string& command) {
  static const std::string missing = testing::host::no_program("qemu-nbd");
  if (!missing.empty()) {
    static const int said = std::fprintf(stderr, "disk: without a server: %s\n", missing.c_str());
    (void)said;
    return std::nullopt;
  }
  static const NbdServer server;
  static const OutsideGuest guest =
      make_guest("nbd+unix:" + server.socket(), "nbd:unix:" + server.socket());
  return rate_of(times_of(subject, guest, "disk-of-a-server", "true", {command}).front());
}

Values use_disk(Subject subject, double) {
  static const DiskInMemory disk;
  static const OutsideGuest guest = make_guest(disk.path(), disk.path());
  const std::string read = "dd if=/dev/vda of=/dev/null bs=1M";
  const std::string read_directly = read + " iflag=direct";
  Values values;
  for (const std::optional<double>& time :
       times_of(subject, guest, "disk", "true",
                {read, read_directly,
                 "dd if=/dev/zero of=/dev/vda bs=1M count=" + std::to_string(kSize >> 20) +
                     " conv=fsync"}))
    values.push_back(rate_of(time));
  values.push_back(read_from_server(subject, read_directly));
  return values;
}

}  // namespace

std::vector<Measure> disk_measures() {
  return {{"disk",
           "a guest reads and writes 512 MiB of a disk that is a file, and reads one of a server",
           {{"from a disk, by the guest's cache", "MB/s", Better::Higher, {1, {}, {}}},
            {"from a disk, past its cache", "MB/s", Better::Higher, {1, {}, {}}},
            {"to a disk", "MB/s", Better::Higher, {1, {}, {}}},
            {"from a disk of qemu-nbd, past its cache", "MB/s", Better::Higher, {}}},
           use_disk}};
}

}  // namespace ringside::bench
