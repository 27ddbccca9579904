// What a saved machine is made of and how far its run was: what its file says before anything else,
// and what has to be there before the rest can be loaded. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/state_visitor.h"
#include "machine/bus/platform_map.h"
#include "platform/guest_ram.h"
#include "platform/processor.h"
#include "ringside/types.h"
#include "time/record/position.h"

namespace ringside::time {

// A disk image, or another file that the guest reads, as it was when the machine was saved. That
// its content is still the same shows in its size and in when it was changed last, for nobody wants
// to read all of it.
struct SavedDisk {
  std::string path;  // absolute
  std::uint64_t size = 0;
  bool read_only = false;
  std::int64_t changed_seconds = 0, changed_nanoseconds = 0;  // since 1970
  friend bool operator==(const SavedDisk&, const SavedDisk&) = default;
};

// A folder that is shared with the guest, which has no file open there.
struct SavedShare {
  std::string path;  // absolute
  std::string tag;
  bool read_only = false;
  friend bool operator==(const SavedShare&, const SavedShare&) = default;
};

struct SavedRom {
  Gpa base;
  std::uint64_t size = 0;
  friend bool operator==(const SavedRom&, const SavedRom&) = default;
};

// What the guest sees of the machine's options. The date and the seed of its random numbers are
// not among them: both have become part of the state.
struct SavedOptions {
  unsigned vcpus = 1;
  std::uint64_t memory = 0;                                      // bytes of RAM
  bool debug_exit = false, debugcon = false, guest_gdb = false;  // whether these ports exist
  bool test_device = false;
  std::vector<SavedDisk> disks, firmware_vars;  // one file of variables at most
  bool network = false;                         // whether there is a card
  std::vector<SavedShare> shares;
  bool random = false, console = false, text_card = false;  // whether there are these devices
  std::uint32_t vsock_cid = 0;                              // of the guest; 0: it has no sockets
  machine::VirtioBus virtio_bus = machine::VirtioBus::Mmio;
  hypervisor::Processor processor = hypervisor::Processor::V2;
  std::vector<SavedRom> roms;
  // The kernel that firmware was given and, behind it, an initrd; or nothing.
  std::vector<SavedDisk> kernel_files;
  std::string kernel_command_line;
  Position at;

  // A loader of it refuses what no machine has.
  void visit(StateVisitor& visitor);
  friend bool operator==(const SavedOptions&, const SavedOptions&) = default;
};

// The ROM of a machine, as its options have it.
std::vector<SavedRom> roms_of(const hypervisor::GuestRam& ram);

}  // namespace ringside::time
