// A core of a guest as a stream of bytes, from its beginning to its end, for who cannot seek: an
// ELF file as QEMU writes one without paging. Registers, VMCOREINFO, and physical memory or a part
// of it, at its physical addresses. docs/decisions/0044 says who asks for it.
//
// A slice at a time, on the thread that may use the Vm, while every vCPU is out of the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "guests/core/core_notes.h"
#include "guests/core/core_writer.h"
#include "guests/linux/vmcoreinfo.h"
#include "ringside/vm.h"

namespace ringside::guests {

struct PhysicalRange {
  Gpa begin;
  std::uint64_t length = 0;
};

class CoreStream {
 public:
  // Registers are taken now; memory must stay as it is to the end. BadRequest where there is no
  // memory in the range.
  static Result<std::unique_ptr<CoreStream>> begin(CoreSubject subject,
                                                   std::optional<PhysicalRange> range);

  // About a millisecond's work: appends what comes next, which may be nothing. True at the end.
  Result<bool> advance(std::vector<std::byte>& out);

  std::uint64_t total() const { return total_; }  // bytes of memory
  std::uint64_t done() const { return done_; }

 private:
  explicit CoreStream(CoreSubject subject);
  void append_headers(std::vector<std::byte>& out);
  Result<void> append_memory(std::vector<std::byte>& out);

  CoreSubject subject_;
  std::vector<CoreVcpu> vcpus_;
  VmcoreinfoSearch search_;
  bool has_headers_ = false;
  std::vector<hypervisor::MemoryRegion> regions_;
  std::size_t region_ = 0;
  std::uint64_t offset_ = 0;  // in that region
  std::uint64_t total_ = 0, done_ = 0;
};

}  // namespace ringside::guests
