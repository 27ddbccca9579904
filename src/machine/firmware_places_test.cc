// The files of firmware's configuration that the machine adds, as a guest reads them, byte by byte.
#include "machine/firmware_places.h"

#include <gtest/gtest.h>

#include <map>

#include "machine/machine.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/memory_disk.h"

namespace ringside::machine {
namespace {

constexpr VcpuId kBoot{0};

class FirmwareFiles : public ::testing::Test {
 protected:
  void start(VirtioBus bus, unsigned disks) {
    MachineOptions options;
    options.virtio_bus = bus;
    for (unsigned i = 0; i < disks; ++i)
      options.disks.push_back(std::make_shared<testing::MemoryDisk>(4096));
    machine_.emplace(ram_, std::move(options));
    machine_->connect(cpus_);
    find_files();
  }
  bool has(const std::string& name) const { return files_.count(name) != 0; }
  std::string content(const std::string& name) {
    const auto& [key, size] = files_.at(name);
    select(key);
    return read(size);
  }

 private:
  void select(unsigned key) { machine_->port_write(kBoot, 0x510, 2, key); }
  std::string read(std::uint64_t count) {
    std::string bytes;
    for (; count != 0; --count) {
      std::uint32_t value = 0;
      machine_->port_read(kBoot, 0x511, 1, value);
      bytes += static_cast<char>(value);
    }
    return bytes;
  }
  // Most significant byte first.
  std::uint64_t number(unsigned width) {
    std::uint64_t value = 0;
    for (const char byte : read(width))
      value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
  }
  // The directory has key 0x19.
  void find_files() {
    files_.clear();
    select(0x19);
    for (std::uint64_t left = number(4); left != 0; --left) {
      const std::uint64_t size = number(4);
      const auto key = static_cast<unsigned>(number(2));
      (void)read(2);
      const std::string name = read(56);
      files_[name.c_str()] = {key, size};
    }
  }

  hypervisor::GuestRam ram_ = *hypervisor::GuestRam::create(16 << 20);
  testing::FakeCpuPort cpus_;
  std::optional<Machine> machine_;
  std::map<std::string, std::pair<unsigned, std::uint64_t>> files_;
};

// S0, S3 as type 1 and S5 as type 0 are there, by their highest bits.
TEST_F(FirmwareFiles, SayWhichSleepStatesThereAre) {
  start(VirtioBus::Pci, 0);
  EXPECT_EQ(content("etc/system-states"), std::string("\x80\0\0\x81\0\x80", 6));
}

TEST_F(FirmwareFiles, HaveTheDisksInTheirOrder) {
  start(VirtioBus::Pci, 2);
  constexpr char kOrder[] = "/pci@i0cf8/scsi@1/disk@0,0\n/pci@i0cf8/scsi@2/disk@0,0";
  EXPECT_EQ(content("bootorder"), std::string(kOrder, sizeof kOrder)) << "with the zero at its end";
}

TEST_F(FirmwareFiles, NameNoDiskThatFirmwareDoesNotFindThere) {
  start(VirtioBus::Pci, 0);
  EXPECT_FALSE(has("bootorder"));
  start(VirtioBus::Mmio, 1);
  EXPECT_FALSE(has("bootorder"));
}

}  // namespace
}  // namespace ringside::machine
