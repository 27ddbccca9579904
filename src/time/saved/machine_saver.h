// Writes a machine into a file that SavedMachine reads, a slice at a time, while every vCPU is out
// of the guest. CPUs and devices are taken when it is made; memory must stay as it is to the end.
//
// Belongs to the main thread; guest memory is packed on a second one, too.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/whole_file.h"
#include "machine/machine.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "time/saved/page_packing.h"
#include "time/saved/saved_format.h"
#include "time/saved/saved_options.h"

namespace ringside::time {

// Where a saved machine goes.
struct SavePlace {
  Folder& folder;
  std::string name;
};

class MachineSaver {
 public:
  // The folder outlives it. `options` are completed by what the engine knows.
  static Result<std::unique_ptr<MachineSaver>> begin(const SavePlace& place, SavedOptions options,
                                                     hypervisor::Engine& engine,
                                                     machine::Machine& machine,
                                                     const hypervisor::GuestRam& ram);
  // About a millisecond's work. True once the file is in its place; after an error there is none.
  Result<bool> advance();

  std::uint64_t done() const { return packing_.done(); }  // bytes of memory
  std::uint64_t total() const { return packing_.total(); }
  std::uint64_t written() const { return written_; }  // bytes of the file

 private:
  MachineSaver(WholeFile file, const hypervisor::GuestRam& ram)
      : file_(std::move(file)), packing_(ram) {}
  Result<void> begin_file(SavedOptions& options);
  Result<void> write(std::span<const std::byte> bytes);
  Result<void> write_rest();

  WholeFile file_;
  PagePacking packing_;
  SavedHeader header_;
  std::vector<std::byte> state_;
  std::vector<SavedChunk> index_;
  std::vector<std::byte> gathered_;  // chunks that are not written yet
  std::uint64_t written_ = 0;
};

// All of it at once; how many bytes the file has.
Result<std::uint64_t> save_machine(const SavePlace& place, SavedOptions options,
                                   hypervisor::Engine& engine, machine::Machine& machine,
                                   const hypervisor::GuestRam& ram);

}  // namespace ringside::time
