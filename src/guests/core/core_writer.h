// Writes a core of a guest: an ELF file with all of its memory, by physical address and by linear
// address, and the registers of each vCPU, for gdb, crash and drgn. docs/decisions/0042 has the
// layout and the reasons.
//
// A slice at a time, on the thread that may use the Vm, while every vCPU is out of the guest.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/whole_file.h"
#include "guests/core/core_notes.h"
#include "guests/core/linear_segments.h"
#include "guests/linux/vmcoreinfo.h"
#include "ringside/vm.h"

namespace ringside::guests {

// Physical memory is shown to those who only know linear addresses from here on: no guest has such
// an address, because it is not canonical.
inline constexpr Gva kPhysicalInCore{0x8000000000000000};

struct CoreSubject {
  hypervisor::Vm& vm;
  // Whose linear addresses come before those of other vCPUs.
  VcpuId first{0};
  // Takes out of a copy of memory what a debugger has put there; empty where there is nothing.
  std::function<void(Gpa where, std::span<std::byte> copy)> hide = {};
};

class CoreWriter {
 public:
  // Registers are taken now; memory must stay as it is to the end.
  static Result<std::unique_ptr<CoreWriter>> begin(CoreSubject subject, WholeFile file);

  // About a millisecond's work. True once the file is in its place; after an error there is none.
  Result<bool> advance();

  std::uint64_t total() const { return total_; }  // bytes of memory
  std::uint64_t done() const { return done_; }
  std::uint64_t written() const { return written_; }  // of these, the rest is zeros
  // What is in it, beside memory and registers, in words.
  std::string words() const;

 private:
  enum class Phase : std::uint8_t { Search, Map, Memory, Over };
  CoreWriter(CoreSubject subject, WholeFile file);
  Result<void> take_registers();
  void plan_file();
  Result<void> write_memory();
  Result<void> write_pages(Gpa where, std::uint64_t at, std::span<const std::byte> memory);
  Result<void> write_headers();
  std::uint64_t place_of(Gpa where) const;

  CoreSubject subject_;
  WholeFile file_;
  Phase phase_ = Phase::Search;
  std::vector<CoreVcpu> vcpus_;
  VmcoreinfoSearch search_;
  LinearSegments linear_;
  struct Region {
    hypervisor::MemoryRegion memory;
    std::uint64_t at;  // in the file
  };
  std::vector<Region> regions_;
  std::vector<LinearSegment> segments_;
  std::vector<std::byte> notes_;
  std::uint64_t size_ = 0;  // of the file
  std::size_t region_ = 0;
  std::uint64_t offset_ = 0;  // in that region
  std::uint64_t total_ = 0, done_ = 0, written_ = 0;
};

}  // namespace ringside::guests
