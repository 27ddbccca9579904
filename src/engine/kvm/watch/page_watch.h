// Watchpoints by page protection: KVM reaches the watched pages through a mapping of their own that
// forbids writes, or all accesses, and leaves the guest at each. This process itself reaches them
// through the first mapping as ever.
//
// Owned by the engine. The main thread changes it while every vCPU is out of the guest; vCPU
// threads look, and open and close the pages while they have the gate closed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/kvm/code/accesses.h"
#include "engine/kvm/host/memory_slots.h"
#include "platform/guest_ram.h"
#include "ringside/exit.h"

namespace ringside::kvm {

class PageWatches {
 public:
  using Hits = std::vector<hypervisor::Exit>;
  using Translate = std::function<std::optional<Gpa>(Gva)>;

  PageWatches(hypervisor::GuestRam& ram, MemorySlots& slots) : ram_(ram), slots_(slots) {}

  enum class Space : std::uint8_t { Linear, Physical };
  struct Watch {
    Space space = Space::Linear;
    std::uint64_t address = 0;
    std::uint64_t size = 1;
    hypervisor::WatchKind kind = hypervisor::WatchKind::Write;
    friend bool operator==(const Watch&, const Watch&) = default;
  };

  // ---- The main thread
  Result<void> insert(const Watch& watch, const std::vector<Translate>& vcpus);
  Result<void> remove(const Watch& watch);
  bool has(const Watch& watch) const;
  // Linear addresses may lead elsewhere by now, in each of the vCPUs' mappings.
  Result<void> follow(const std::vector<Translate>& vcpus);
  std::size_t pages_of(const Watch& watch) const;

  // ---- Any thread
  bool any() const { return any_; }
  // A device has written.
  void device_wrote(Gpa address, std::uint64_t size, Hits& hits) const;

  // ---- vCPU threads, in the guest
  // What one access, or an instruction's, hits. None is added twice.
  void accessed(Gpa address, std::uint64_t size, bool write, Hits& hits) const;
  void accessed(const std::vector<MemoryAccess>& all, const Translate& translate, Hits& hits) const;
  // All pages for every access, and back. With the gate closed.
  void open();
  void close();

 private:
  enum class Need : std::uint8_t { None, Write, All };
  struct Range {
    std::uint64_t base = 0, size = 0;
    friend bool operator==(const Range&, const Range&) = default;
  };
  struct Entry {
    Watch watch;
    std::vector<Range> memory;  // physical; what of it is mapped, in any vCPU's mapping
  };
  // Pages that have a mapping for KVM's use. They keep it when they are watched no more.
  struct Run {
    std::uint64_t base = 0, size = 0;
    std::uint8_t* mapping = nullptr;
    std::vector<Need> needs;  // page by page
  };

  static std::vector<Range> locate(const Watch& watch, const std::vector<Translate>& vcpus);
  Result<void> arrange();
  Result<void> make_runs(std::uint64_t base, std::uint64_t end);
  Run* run_of(std::uint64_t page);
  static void protect(const Run& run, bool open);

  hypervisor::GuestRam& ram_;
  MemorySlots& slots_;
  mutable std::mutex lock_;     // devices may write on any thread
  std::vector<Entry> entries_;  // lock_
  std::vector<Run> runs_;
  std::atomic<bool> any_{false};
};

}  // namespace ringside::kvm
