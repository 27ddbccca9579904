// A VMM over the Unicorn CPU emulator, to show what libringside asks of an engine with a thread for
// each vCPU: GDB stops, steps and breaks in a guest whose CPUs run side by side.
//
//     unicorn_vmm ENDPOINT [VCPUS]       (unicorn_vmm 1234 4, then in GDB: target remote :1234)
//
// The guest is 32-bit code in flat segments, without paging and interrupts, in 64 KiB of RAM that
// all CPUs share. Each CPU is a Unicorn of its own with that memory in it. Unicorn keeps translated
// code for each; a CPU that writes code sees its own new code at once, but others see it late.
#include <sys/eventfd.h>
#include <unicorn/unicorn.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "ringside/debug_endpoint.h"

namespace {

using namespace ringside;
using hypervisor::Capability;
using hypervisor::Exit;

constexpr std::size_t kRamSize = 64u << 10;
constexpr std::uint32_t kStart = 0x1000;
// EDI is the CPU's number; EAX is what it has counted so far.
//   again: inc eax; mov [0x2000 + edi * 4], eax; nop; jmp again
constexpr std::uint8_t kProgram[] = {0x40, 0x89, 0x04, 0xbd, 0x00, 0x20,
                                     0x00, 0x00, 0x90, 0xeb, 0xf5};

constexpr int kGprs[] = {UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX,
                         UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI};

// What happened, from all CPUs' threads to the one that serves the debugger.
class EventQueue {
 public:
  struct Entry {
    hypervisor::VcpuEvent event;
    bool ends_machine = false;
  };
  EventQueue() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~EventQueue() { ::close(fd_); }
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  void push(Entry entry) {
    const std::lock_guard lock(mutex_);
    entries_.push_back(std::move(entry));
    ::eventfd_write(fd_, 1);
  }
  std::optional<Entry> take() {
    const std::lock_guard lock(mutex_);
    if (entries_.empty()) {
      eventfd_t count;
      ::eventfd_read(fd_, &count);  // nothing is left to be readable for
      return std::nullopt;
    }
    Entry entry = std::move(entries_.front());
    entries_.pop_front();
    return entry;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    entries_.clear();
  }
  int fd() const { return fd_; }

 private:
  int fd_;
  std::mutex mutex_;
  std::deque<Entry> entries_;
};

// The debugger's calls come on its thread. live(), and all below it, is the CPU's own thread, which
// alone uses the Unicorn while in_guest_; the mutex hands it over.
class UnicornCpu final : public hypervisor::Vcpu {
 public:
  UnicornCpu(VcpuId id, std::uint8_t* ram, EventQueue& events) : id_(id), events_(events) {
    uc_hook hook;
    if (uc_open(UC_ARCH_X86, UC_MODE_32, &uc_) != UC_ERR_OK ||
        uc_mem_map_ptr(uc_, 0, kRamSize, UC_PROT_ALL, ram) != UC_ERR_OK ||
        uc_hook_add(uc_, &hook, UC_HOOK_CODE, reinterpret_cast<void*>(&on_instruction), this, 1,
                    0) != UC_ERR_OK ||
        uc_hook_add(uc_, &hook, UC_HOOK_INTR, reinterpret_cast<void*>(&on_interrupt), this, 1, 0) !=
            UC_ERR_OK) {
      std::fprintf(stderr, "unicorn_vmm: Unicorn cannot be set up\n");
      std::exit(4);
    }
    reset();
    thread_ = std::thread([this] { live(); });
  }
  ~UnicornCpu() override {
    tell([this] { quit_ = leave_ = true; });
    thread_.join();
    uc_close(uc_);
  }

  bool in_guest() const override { return in_guest_; }
  bool halted() const override { return activity() != hypervisor::VcpuActivity::Running; }
  hypervisor::VcpuActivity activity() const override { return activity_; }
  std::string name() const override { return "unicorn CPU " + std::to_string(id_.value); }
  std::optional<InsnCount> instructions() override { return InsnCount{retired_}; }

  Result<x86::CpuState> state() override {
    x86::CpuState state;
    for (std::size_t i = 0; i < std::size(kGprs); ++i)
      state.gpr[i] = read(kGprs[i]);
    state.rip = read(UC_X86_REG_EIP);
    state.rflags = read(UC_X86_REG_EFLAGS);
    state.cr0 = read(UC_X86_REG_CR0);
    for (x86::Segment& segment : state.segment)
      segment = {0, x86::kAttributesData32, 0xffffffff, 0};
    state.seg(x86::SegmentName::Cs).attributes = x86::kAttributesCode32;
    return state;
  }
  Result<void> set_state(const x86::CpuState& state) override {
    const bool moved = state.rip != read(UC_X86_REG_EIP);
    if (moved && activity_ == hypervisor::VcpuActivity::Halted)
      activity_ = hypervisor::VcpuActivity::Running;
    for (std::size_t i = 0; i < std::size(kGprs); ++i)
      write(kGprs[i], state.gpr[i]);
    write(UC_X86_REG_EIP, state.rip);
    write(UC_X86_REG_EFLAGS, state.rflags);
    return {};
  }

  // MaskInterrupts is easy where there are none.
  bool offers(Capability) const override { return true; }
  Result<void> set_capability(Capability capability, bool on) override {
    enabled_[static_cast<std::size_t>(capability)] = on;
    return {};
  }
  // The guest's own int3 comes back in this way. Unicorn does not go through an interrupt table, so
  // the guest goes on behind it, as it does while nobody intercepts it.
  Result<void> inject_exception(const x86::Exception&) override {
    write(UC_X86_REG_EIP, read(UC_X86_REG_EIP) + entry_length_);
    entry_length_ = 1;
    return {};
  }
  Result<void> set_entry_insn_length(std::uint8_t length) override {
    if (length < 1 || length > 15) return fail(ErrorCode::BadRequest, "a length is 1 to 15");
    entry_length_ = length;
    return {};
  }
  Result<std::uint8_t> entry_insn_length() override { return entry_length_; }

  void suspend() {
    tell([this] { leave_ = true; });
  }
  void resume() {
    tell([this] {
      leave_ = false;
      in_guest_ = true;
    });
  }
  // Memory has been written: what was translated from it is void, also where the CPU runs.
  void forget_code(std::uint32_t address, std::size_t size) {
    tell([&] {
      stale_.push_back({address, size});
      look_up_ = true;
    });
  }
  void reset() {
    x86::CpuState state;
    state.rip = kStart;
    state.reg(x86::Gpr::Rdi) = id_.value;
    activity_ = hypervisor::VcpuActivity::Running;
    (void)set_state(state);
  }
  void stop_instead_of_death(bool on) { survives_ = on; }

 private:
  struct Range {
    std::uint32_t address;
    std::size_t size;
  };

  template <typename Change>
  void tell(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_one();
  }
  std::uint32_t read(int name) const {
    std::uint32_t value = 0;
    uc_reg_read(uc_, name, &value);
    return value;
  }
  void write(int name, std::uint64_t wide) {
    const auto value = static_cast<std::uint32_t>(wide);
    uc_reg_write(uc_, name, &value);
  }
  bool has(Capability capability) const { return enabled_[static_cast<std::size_t>(capability)]; }

  void live() {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return in_guest_ || quit_; });
        if (quit_) return;
      }
      EventQueue::Entry entry{{id_, run()}, false};
      entry.ends_machine =
          std::holds_alternative<hypervisor::exit::Dead>(entry.event.exit) && !survives_;
      const std::lock_guard lock(mutex_);
      in_guest_ = false;
      events_.push(std::move(entry));
    }
  }

  Exit run() {
    for (;;) {
      catch_up();
      if (leave_) return hypervisor::exit::Parked{};
      if (halted()) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return leave_ || look_up_; });
        continue;
      }
      left_ = has(Capability::MonitorTrap) ? 1 : ~std::uint64_t{0};
      stopped_ = false;
      int3_length_ = 0;
      interrupt_.reset();
      const uc_err error = uc_emu_start(uc_, read(UC_X86_REG_EIP), 0xffffffff, 0, 0);
      if (int3_length_ > 0) {
        write(UC_X86_REG_EIP, at_);
        return hypervisor::exit::Breakpoint{int3_length_, Gva{at_}};
      }
      if (interrupt_) return die("interrupt " + std::to_string(*interrupt_));
      if (error != UC_ERR_OK) return die(uc_strerror(error));
      if (!stopped_) activity_ = hypervisor::VcpuActivity::Halted;  // hlt has ended it
      if (left_ == 0) return hypervisor::exit::MonitorTrap{};
    }
  }
  void catch_up() {
    const std::lock_guard lock(mutex_);
    for (const Range& range : stale_)
      uc_ctl_remove_cache(uc_, range.address, range.address + range.size);
    stale_.clear();
    look_up_ = false;
  }
  Exit die(const std::string& why) {
    activity_ = hypervisor::VcpuActivity::Dead;
    return hypervisor::exit::Dead{why};
  }

  // Before each instruction. A flag, and not uc_emu_stop() from the debugger's thread: Unicorn
  // forgets a stop that comes before it has started.
  static void on_instruction(uc_engine* uc, std::uint64_t address, std::uint32_t, void* self) {
    auto& cpu = *static_cast<UnicornCpu*>(self);
    if (cpu.left_ == 0 || cpu.leave_ || cpu.look_up_) {
      cpu.stopped_ = true;
      uc_emu_stop(uc);
      return;
    }
    --cpu.left_;
    cpu.retired_.fetch_add(1, std::memory_order_relaxed);
    cpu.at_ = static_cast<std::uint32_t>(address);
  }
  // EIP is behind the int3 here. Nobody intercepts it: the guest goes on there.
  static void on_interrupt(uc_engine* uc, std::uint32_t vector, void* self) {
    auto& cpu = *static_cast<UnicornCpu*>(self);
    if (vector == 3 && !cpu.has(Capability::BreakpointExit)) return;
    if (vector == 3) {
      cpu.int3_length_ = static_cast<std::uint8_t>(cpu.read(UC_X86_REG_EIP) - cpu.at_);
      cpu.retired_.fetch_sub(1, std::memory_order_relaxed);
    } else {
      cpu.interrupt_ = vector;
    }
    cpu.stopped_ = true;
    uc_emu_stop(uc);
  }

  const VcpuId id_;
  EventQueue& events_;
  uc_engine* uc_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> in_guest_{false}, leave_{false}, look_up_{false}, survives_{false};
  bool quit_ = false;
  std::deque<Range> stale_;
  std::atomic<hypervisor::VcpuActivity> activity_{hypervisor::VcpuActivity::Running};
  std::atomic<std::uint64_t> retired_{0};
  bool enabled_[3] = {};
  std::uint8_t entry_length_ = 1;
  // Of the run that is on.
  std::uint64_t left_ = 0;  // instructions that it may execute
  std::uint32_t at_ = 0;    // the last instruction that was begun
  bool stopped_ = false;
  std::uint8_t int3_length_ = 0;  // of the one that was intercepted; 0: none
  std::optional<std::uint32_t> interrupt_;
  std::thread thread_;
};

class UnicornVm final : public hypervisor::Vm, public hypervisor::Memory {
 public:
  explicit UnicornVm(unsigned vcpus) {
    std::memcpy(&ram_[kStart], kProgram, sizeof kProgram);
    for (std::uint32_t i = 0; i < vcpus; ++i)
      cpus_.push_back(std::make_unique<UnicornCpu>(VcpuId{i}, ram_, events_));
  }

  unsigned vcpu_count() const override { return static_cast<unsigned>(cpus_.size()); }
  UnicornCpu& vcpu(VcpuId id) override { return *cpus_[id.value]; }
  hypervisor::Memory& memory() override { return *this; }
  void suspend(VcpuId id) override {
    if (vcpu(id).in_guest()) vcpu(id).suspend();
  }
  void resume(VcpuId id) override { vcpu(id).resume(); }
  std::optional<hypervisor::VcpuEvent> take_event() override {
    auto entry = events_.take();
    if (!entry) return std::nullopt;
    if (!entry->ends_machine) return std::move(entry->event);
    using hypervisor::VmEnd;
    ended_ = VmEnd{VmEnd::Kind::Error, 0,
                   std::get<hypervisor::exit::Dead>(entry->event.exit).reason, entry->event.vcpu};
    return std::nullopt;
  }
  int event_fd() const override { return events_.fd(); }
  const std::optional<hypervisor::VmEnd>& ended() const override { return ended_; }
  void stop_instead_of_death(bool on) override {
    for (const auto& cpu : cpus_)
      cpu->stop_instead_of_death(on);
  }

  // While every vCPU is out of the guest.
  Result<void> restart() {
    events_.clear();
    std::memset(ram_, 0, kRamSize);
    std::memcpy(&ram_[kStart], kProgram, sizeof kProgram);
    for (const auto& cpu : cpus_) {
      cpu->reset();
      cpu->forget_code(0, kRamSize);
    }
    return {};
  }

  Result<void> read_ram(Gpa address, std::span<std::byte> out) override {
    if (!is_ram(address, out.size())) return fail(ErrorCode::BadAddress, "behind the RAM");
    std::memcpy(out.data(), &ram_[address.value], out.size());
    return {};
  }
  Result<void> write_ram(Gpa address, std::span<const std::byte> data) override {
    if (!is_ram(address, data.size())) return fail(ErrorCode::BadAddress, "behind the RAM");
    std::memcpy(&ram_[address.value], data.data(), data.size());
    for (const auto& cpu : cpus_)
      cpu->forget_code(static_cast<std::uint32_t>(address.value), data.size());
    return {};
  }
  std::vector<hypervisor::MemoryRegion> regions() override {
    return {{Gpa{0}, kRamSize, hypervisor::MemoryKind::Ram}};
  }

 private:
  static bool is_ram(Gpa address, std::size_t size) {
    return address.value < kRamSize && size <= kRamSize - address.value;
  }

  alignas(kPageSize) std::uint8_t ram_[kRamSize] = {};
  EventQueue events_;
  std::vector<std::unique_ptr<UnicornCpu>> cpus_;
  std::optional<hypervisor::VmEnd> ended_;
};

}  // namespace

int main(int argc, char** argv) {
  const long vcpus = argc == 3 ? std::strtol(argv[2], nullptr, 10) : 2;
  if (argc < 2 || argc > 3 || vcpus < 1 || vcpus > static_cast<long>(kMaxVcpus)) {
    std::fprintf(stderr,
                 "unicorn_vmm: give one argument, where to listen (1234, unix:/tmp/vmm, stdio, "
                 "fd:3), and perhaps how many vCPUs there are, from 1 to 64\n");
    return 4;
  }
  const auto vm = std::make_unique<UnicornVm>(static_cast<unsigned>(vcpus));
  debug::ServerOptions options;
  options.restart = [&vm] { return vm->restart(); };
  const auto endpoint = DebugEndpoint::open(*vm, argv[1], std::move(options));
  if (!endpoint) {
    std::fprintf(stderr, "unicorn_vmm: %s\n", endpoint.error().text().c_str());
    return 4;
  }
  DebugEndpoint& debugger = **endpoint;
  std::fprintf(stderr, "gdb: listening on %s\n", debugger.where().c_str());
  debugger.start();
  // The CPUs have threads of their own, so this one sleeps until there is something to do.
  while (!vm->ended() && !debugger.wants_vm_end()) {
    if (!debugger.serve(std::nullopt)) return 4;
  }
  if (vm->ended()) std::fprintf(stderr, "unicorn_vmm: %s\n", vm->ended()->reason.c_str());
  return 0;
}
