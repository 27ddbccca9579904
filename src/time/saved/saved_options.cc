#include "time/saved/saved_options.h"

#include <algorithm>

#include "machine/machine.h"
#include "machine/vsock/packet.h"

namespace ringside::time {
namespace {

constexpr std::uint64_t kLeastMemory = 1u << 20, kMostMemory = std::uint64_t{1} << 46;
// Where firmware is: there is nothing else up there.
constexpr std::uint64_t kRomStart = 0xff000000, kRomEnd = std::uint64_t{1} << 32, kMostRoms = 16;
constexpr std::size_t kLongestTag = 255;
constexpr std::uint64_t kMostKernelFiles = 2;

template <typename T, typename Visit>
void visit_all(StateVisitor& visitor, std::vector<T>& items, std::uint64_t most, Visit visit) {
  std::uint64_t count = items.size();
  visitor.field(count);
  visitor.expect(count <= most);
  if (visitor.loading()) items.resize(std::min(count, most));
  for (T& item : items)
    visit(item);
}

// Beyond this, sums of instructions or of nanoseconds would not be what they seem.
bool can_be_counted(std::uint64_t value) { return value < std::uint64_t{1} << 62; }

}  // namespace

void SavedOptions::visit(StateVisitor& visitor) {
  visitor.fields(vcpus, memory, debug_exit, debugcon, guest_gdb, test_device);
  visitor.expect(vcpus >= 1 && vcpus <= kMaxVcpus);
  visitor.expect(memory >= kLeastMemory && memory <= kMostMemory && memory % kPageSize == 0);
  const auto visit_image = [&](SavedDisk& disk) {
    visitor.container(disk.path);
    visitor.fields(disk.size, disk.read_only, disk.changed_seconds, disk.changed_nanoseconds);
    visitor.expect(!disk.path.empty() && disk.path.find('\0') == std::string::npos);
  };
  visit_all(visitor, disks, machine::kMaxVirtioDevices, visit_image);
  visit_all(visitor, firmware_vars, 1, visit_image);
  visitor.field(network);
  visit_all(visitor, shares, machine::kMaxVirtioDevices, [&](SavedShare& share) {
    visitor.container(share.path);
    visitor.container(share.tag);
    visitor.field(share.read_only);
    visitor.expect(!share.path.empty() && share.path.find('\0') == std::string::npos);
    visitor.expect(!share.tag.empty() && share.tag.size() <= kLongestTag);
  });
  visitor.fields(random, console, text_card, vsock_cid);
  const bool vsock = vsock_cid != 0;
  visitor.expect(!vsock || vsock_cid >= machine::kLeastGuestCid);
  visitor.expect(disks.size() + network + shares.size() + random + vsock + console <=
                 machine::kMaxVirtioDevices);
  visitor.field(virtio_bus);
  visitor.expect(virtio_bus <= machine::VirtioBus::Pci);
  visitor.field(processor);
  visitor.expect(processor <= hypervisor::Processor::V3);
  std::uint64_t free = kRomStart;
  visit_all(visitor, roms, kMostRoms, [&](SavedRom& rom) {
    visitor.fields(rom.base, rom.size);
    const bool whole = rom.base.value % kPageSize == 0 && rom.size % kPageSize == 0;
    visitor.expect(whole && rom.base.value >= free && rom.base.value < kRomEnd);
    visitor.expect(rom.size != 0 && rom.size <= kRomEnd - rom.base.value);
    free = rom.base.value + rom.size;
  });
  visit_all(visitor, kernel_files, kMostKernelFiles, visit_image);
  visitor.container(kernel_command_line);
  visitor.fields(at.progress.instructions, at.progress.parts, at.time);
  visitor.expect(can_be_counted(at.progress.instructions.value) && can_be_counted(at.time.ns));
}

std::vector<SavedRom> roms_of(const hypervisor::GuestRam& ram) {
  std::vector<SavedRom> roms;
  for (const hypervisor::RamSlot& slot : ram.slots()) {
    if (slot.read_only) roms.push_back({slot.base, slot.size});
  }
  return roms;
}

}  // namespace ringside::time
