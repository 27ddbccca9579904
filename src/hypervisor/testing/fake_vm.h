// A virtual machine for tests: registers are a CpuState, memory is sparse pages, devices log their
// accesses, and the test itself decides what happens in the guest (happen()). It keeps the rules of
// ringside/vm.h: one event per resume, Parked after suspend unless an event was on its way. Owned
// by the test; one thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ringside/vm.h"

namespace ringside::hypervisor::testing {

class FakeVcpu final : public Vcpu {
 public:
  explicit FakeVcpu(VcpuId id) : id_(id), active_(id.value == 0) {}

  VcpuId id() const { return id_; }
  bool active() const override { return active_; }
  bool in_guest() const override { return in_guest_; }
  bool halted() const override { return halted_; }
  VcpuActivity activity() const override { return doing.value_or(Vcpu::activity()); }
  std::string name() const override { return called; }
  std::optional<InsnCount> instructions() override { return retired; }
  std::optional<PendingEvents> pending_events() override { return pending; }

  Result<x86::RegisterValue> read_register(x86::Register r) override {
    return x86::get_register(cpu, r);
  }
  Result<void> write_register(x86::Register r, const x86::RegisterValue& value) override {
    x86::set_register(cpu, r, value);
    if (r == x86::Register::Rip) halted_ = false;
    return {};
  }
  Result<x86::CpuState> state() override { return cpu; }
  Result<void> set_state(const x86::CpuState& state) override {
    if (state.rip != cpu.rip) halted_ = false;
    cpu = state;
    return {};
  }
  Result<std::uint64_t> read_msr(std::uint32_t number) override {
    const auto found = msrs.find(number);
    if (found == msrs.end()) return fail(ErrorCode::NotFound, "no such MSR");
    return found->second;
  }
  Result<void> write_msr(std::uint32_t number, std::uint64_t value) override {
    if (msrs.count(number) == 0) return fail(ErrorCode::NotFound, "no such MSR");
    msrs[number] = value;
    return {};
  }

  bool offers(Capability capability) const override {
    return supported[static_cast<std::size_t>(capability)];
  }
  Result<void> set_capability(Capability capability, bool on) override {
    if (!offers(capability)) {
      return fail(ErrorCode::NotSupported, "this fake cannot");
    }
    enabled[static_cast<std::size_t>(capability)] = on;
    return {};
  }
  bool has(Capability capability) const { return enabled[static_cast<std::size_t>(capability)]; }

  Result<void> inject_exception(const x86::Exception& exception) override {
    if (injected) return fail(ErrorCode::Busy, "an exception is queued already");
    injected = exception;
    return {};
  }
  Result<void> set_entry_insn_length(std::uint8_t length) override {
    if (length < 1 || length > 15) return fail(ErrorCode::BadRequest, "1 to 15");
    entry_length = length;
    return {};
  }
  Result<std::uint8_t> entry_insn_length() override { return entry_length; }

  x86::CpuState cpu;
  std::map<std::uint32_t, std::uint64_t> msrs;
  bool supported[3] = {true, true, true};  // indexed by Capability
  bool enabled[3] = {};
  std::optional<x86::Exception> injected;  // the test takes it out: delivered
  std::uint8_t entry_length = 1;
  unsigned resumes = 0;
  std::optional<VcpuActivity> doing;  // nothing: running or halted
  std::string called;
  std::optional<InsnCount> retired;
  std::optional<PendingEvents> pending;

 private:
  friend class FakeVm;
  VcpuId id_;
  bool active_;
  bool in_guest_ = false;
  bool halted_ = false;
};

struct MmioAccess {
  VcpuId vcpu;
  Gpa address;
  unsigned width = 0;
  bool write = false;
  std::uint32_t value = 0;
  friend bool operator==(const MmioAccess& a, const MmioAccess& b) {
    return a.vcpu == b.vcpu && a.address == b.address && a.width == b.width && a.write == b.write &&
           a.value == b.value;
  }
};

class FakeMemory final : public Memory, public Mmio {
 public:
  // RAM that is zero until written; whole pages.
  void add_ram(Gpa base, std::uint64_t size, MemoryKind kind = MemoryKind::Ram) {
    for (std::uint64_t offset = 0; offset < size; offset += kPageSize) {
      pages_[base.value + offset] = Page{kind, std::vector<std::byte>(kPageSize)};
    }
  }
  // A device of `size` bytes whose bytes can be read back; every access is logged.
  void add_device(Gpa base, std::uint64_t size) {
    devices_.push_back({base, std::vector<std::byte>(size)});
  }

  template <typename T>
  void poke(Gpa address, T value) {
    std::memcpy(host(address), &value, sizeof value);
  }
  template <typename T>
  T peek(Gpa address) {
    T value;
    std::memcpy(&value, host(address), sizeof value);
    return value;
  }
  std::byte* host(Gpa address) {
    return &pages_.at(address.value & kPageMask).bytes[address.value & ~kPageMask];
  }

  MemoryKind kind(Gpa address) override {
    const auto page = pages_.find(address.value & kPageMask);
    if (page != pages_.end()) return page->second.kind;
    return device(address, 1) == nullptr ? MemoryKind::Nothing : MemoryKind::Mmio;
  }
  std::vector<MemoryRegion> regions() override {
    std::vector<MemoryRegion> regions;
    for (const auto& [base, page] : pages_) {
      const MemoryRegion* last = regions.empty() ? nullptr : &regions.back();
      if (last != nullptr && last->kind == page.kind && last->base.value + last->size == base) {
        regions.back().size += kPageSize;
      } else {
        regions.push_back({Gpa{base}, kPageSize, page.kind});
      }
    }
    return regions;
  }
  Result<void> read_ram(Gpa address, std::span<std::byte> out) override {
    if (!within_page(address, out.size())) return fail(ErrorCode::BadAddress, "no RAM there");
    ++ram_accesses;
    std::memcpy(out.data(), host(address), out.size());
    return {};
  }
  Result<void> write_ram(Gpa address, std::span<const std::byte> data) override {
    if (!within_page(address, data.size())) return fail(ErrorCode::BadAddress, "no RAM there");
    ++ram_accesses;
    std::memcpy(host(address), data.data(), data.size());
    return {};
  }
  std::span<const std::byte> view(Gpa address, std::uint64_t size) override {
    if (!views || kind(address) == MemoryKind::Mmio || !within_page(address, 1)) return {};
    const std::uint64_t in_page = kPageSize - (address.value & ~kPageMask);
    return {host(address), std::min(size, in_page)};
  }
  bool views = true;
  Mmio* mmio() override { return this; }
  Result<std::uint32_t> read_mmio(VcpuId vcpu, Gpa address, unsigned width) override {
    std::byte* bytes = device(address, width);
    if (bytes == nullptr) return fail(ErrorCode::BadAddress, "no device there");
    std::uint32_t value = 0;
    std::memcpy(&value, bytes, width);
    mmio_log.push_back({vcpu, address, width, false, value});
    return value;
  }
  Result<void> write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) override {
    std::byte* bytes = device(address, width);
    if (bytes == nullptr) return fail(ErrorCode::BadAddress, "no device there");
    std::memcpy(bytes, &value, width);
    mmio_log.push_back({vcpu, address, width, true, value});
    return {};
  }

  std::vector<MmioAccess> mmio_log;
  std::uint64_t ram_accesses = 0;

 private:
  struct Page {
    MemoryKind kind = MemoryKind::Ram;
    std::vector<std::byte> bytes;
  };
  struct Device {
    Gpa base;
    std::vector<std::byte> bytes;
  };
  bool within_page(Gpa address, std::size_t size) const {
    return pages_.count(address.value & kPageMask) != 0 &&
           (address.value & ~kPageMask) + size <= kPageSize;
  }
  std::byte* device(Gpa address, std::uint64_t width) {
    for (Device& device : devices_) {
      const std::uint64_t offset = address.value - device.base.value;
      if (offset < device.bytes.size() && width <= device.bytes.size() - offset) {
        return &device.bytes[offset];
      }
    }
    return nullptr;
  }

  std::map<std::uint64_t, Page> pages_;
  std::vector<Device> devices_;
};

class FakeVm : public Vm {
 public:
  explicit FakeVm(unsigned vcpus = 1) {
    for (unsigned i = 0; i < vcpus; ++i)
      vcpus_.push_back(std::make_unique<FakeVcpu>(VcpuId{i}));
  }

  unsigned vcpu_count() const override { return static_cast<unsigned>(vcpus_.size()); }
  FakeVcpu& vcpu(VcpuId id) override { return *vcpus_.at(id.value); }
  FakeMemory& memory() override { return memory_; }

  void suspend(VcpuId id) override {
    FakeVcpu& cpu = vcpu(id);
    if (!cpu.active_ || !cpu.in_guest_) return;
    cpu.in_guest_ = false;
    events_.push_back({id, exit::Parked{}});
  }
  void resume(VcpuId id) override {
    FakeVcpu& cpu = vcpu(id);
    if (!cpu.active_ || cpu.in_guest_) return;
    cpu.in_guest_ = true;
    ++cpu.resumes;
  }
  std::optional<VcpuEvent> take_event() override {
    if (events_.empty()) return std::nullopt;
    VcpuEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  const std::optional<VmEnd>& ended() const override { return ended_; }
  void stop_instead_of_death(bool on) override { stops_instead_of_death_ = on; }
  Breakpoints* breakpoints() override { return offer.breakpoints; }
  PhysicalBreakpoints* physical_breakpoints() override { return offer.physical_breakpoints; }
  SpareBreakpoints* spare_breakpoints() override { return offer.spare_breakpoints; }
  Watchpoints* watchpoints() override { return offer.watchpoints; }
  PhysicalWatchpoints* physical_watchpoints() override { return offer.physical_watchpoints; }
  Catches* catches() override { return offer.catches; }
  FilteredStops* filtered_stops() override { return offer.filtered_stops; }
  ExtraRegisters* extra_registers() override { return offer.extra_registers; }

  // What it can do; the test says.
  struct Abilities {
    Breakpoints* breakpoints = nullptr;
    PhysicalBreakpoints* physical_breakpoints = nullptr;
    SpareBreakpoints* spare_breakpoints = nullptr;
    Watchpoints* watchpoints = nullptr;
    PhysicalWatchpoints* physical_watchpoints = nullptr;
    FilteredStops* filtered_stops = nullptr;
    ExtraRegisters* extra_registers = nullptr;
    Catches* catches = nullptr;
  } offer;

  // The guest's side, for the test. A vCPU that is out of the guest cannot make an event.
  bool happen(VcpuId id, Exit what) {
    FakeVcpu& cpu = vcpu(id);
    if (!cpu.in_guest_) return false;
    cpu.in_guest_ = false;
    events_.push_back({id, std::move(what)});
    return true;
  }
  // The start-up IPI: active, out of the guest, reported.
  void start(VcpuId id) {
    vcpu(id).active_ = true;
    events_.push_back({id, exit::Started{}});
  }
  // INIT: back to waiting for a start-up IPI; no event.
  void sleep(VcpuId id) { vcpu(id).active_ = vcpu(id).in_guest_ = false; }
  // As if it had been active from the start; no event.
  void make_active(VcpuId id) { vcpu(id).active_ = true; }
  // As if it had been waiting for a start-up IPI all the time.
  void make_inactive(VcpuId id) { vcpu(id).active_ = false; }
  void set_halted(VcpuId id, bool halted) { vcpu(id).halted_ = halted; }
  void end(VmEnd how) { ended_ = std::move(how); }
  bool stops_instead_of_death() const { return stops_instead_of_death_; }

 private:
  std::vector<std::unique_ptr<FakeVcpu>> vcpus_;
  FakeMemory memory_;
  std::deque<VcpuEvent> events_;
  std::optional<VmEnd> ended_;
  bool stops_instead_of_death_ = false;
};

}  // namespace ringside::hypervisor::testing
