// Which memory a guest's linear addresses lead to, as segments: what GDB, which knows nothing of
// page tables, needs to find anything in a core.
//
// On the thread that may use the Vm, while every vCPU is out of the guest.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "hypervisor/guest_memory.h"
#include "ringside/vm.h"

namespace ringside::guests {

struct LinearSegment {
  Gva address;
  Gpa where;
  std::uint64_t size = 0;
};

// Goes through the page tables of all started vCPUs, a slice at a time. Where two of them lead an
// address to different memory, the first has it. What guests can write into page tables is without
// end (tables that are their own entries), so all of it is bounded: pages looked at, segments, and
// at how many addresses a page of memory is shown.
class LinearSegments {
 public:
  static constexpr std::size_t kMostSegments = 30'000;

  // `first`: the vCPU whose addresses come before those of the others.
  LinearSegments(hypervisor::Vm& vm, VcpuId first);
  // Another page table, after the vCPUs'.
  void add_table(std::uint64_t cr3);

  // About a millisecond's work. True once it is over.
  bool advance();
  // In the order of addresses.
  std::vector<LinearSegment> take();
  // A bound was met: there is more.
  bool cut_off() const { return cut_off_; }

 private:
  static constexpr std::uint64_t kMostPieces = 4u << 20;
  static constexpr std::uint8_t kMostAddresses = 8;  // of a page of memory

  struct Table {
    VcpuId vcpu;
    std::optional<std::uint64_t> cr3;
  };
  bool begin_table();
  void take_piece(const hypervisor::LinearPiece& piece);
  void add(Gva address, Gpa where, std::uint64_t size);
  void add_in_memory(Gva address, Gpa where, std::uint64_t size);
  bool is_shown_enough(Gpa where, std::uint64_t size);

  hypervisor::Vm& vm_;
  std::vector<hypervisor::MemoryRegion> regions_;
  std::deque<Table> tables_;
  std::vector<std::uint64_t> seen_;  // values of CR3 that tables_ had
  std::optional<hypervisor::LinearMap> map_;
  Gva next_;
  std::uint64_t pieces_ = 0;
  std::map<Gva, LinearSegment> segments_;
  std::vector<std::uint8_t> shown_;  // at how many addresses each page of regions_, in their order
  bool cut_off_ = false;
};

}  // namespace ringside::guests
