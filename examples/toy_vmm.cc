// A whole VMM in one file, to show what libringside asks of one: a CPU that knows five
// instructions, 64 KiB of RAM, no devices; and GDB can stop, step, read, write and break in it.
//
//     toy_vmm ENDPOINT             (toy_vmm 1234, then in GDB: target remote :1234)
//
// Its code is 32 bits wide, which GDB's x/i decodes as 64 (docs/clients.md).
//
// Here the guest runs on the thread that serves the debugger, and serve() comes back at once while
// it can run. A VMM with a thread per CPU gives Vm an event_fd(), for which serve() waits.
#include <cstdio>
#include <cstring>
#include <deque>

#include "ringside/debug_endpoint.h"

namespace {

using namespace ringside;
using hypervisor::Capability;
using hypervisor::Exit;

constexpr std::size_t kRamSize = 64u << 10;
constexpr std::uint64_t kStart = 0x1000;
// again: inc eax; mov [0x2000], eax; nop; jmp again
constexpr std::uint8_t kProgram[] = {0x40, 0xa3, 0x00, 0x20, 0x00, 0x00, 0x90, 0xeb, 0xf7};

class ToyCpu final : public hypervisor::Vcpu {
 public:
  ToyCpu() {
    cpu.cr0 |= x86::cr0::PE;
    cpu.seg(x86::SegmentName::Cs).base = 0;
    cpu.rip = kStart;
  }

  bool in_guest() const override { return running; }
  bool halted() const override { return is_halted; }
  Result<x86::CpuState> state() override { return cpu; }
  Result<void> set_state(const x86::CpuState& state) override {
    if (state.rip != cpu.rip) is_halted = false;  // it is to execute there
    cpu = state;
    return {};
  }

  // Software breakpoints and steps.
  bool offers(Capability) const override { return true; }
  Result<void> set_capability(Capability capability, bool on) override {
    enabled[static_cast<std::size_t>(capability)] = on;
    return {};
  }
  bool has(Capability capability) const { return enabled[static_cast<std::size_t>(capability)]; }
  // The guest's own int3 comes back this way. A real CPU goes to the guest's handler; the toy has
  // none and goes on behind it.
  Result<void> inject_exception(const x86::Exception&) override {
    ++cpu.rip;
    return {};
  }

  x86::CpuState cpu;
  bool running = false;
  bool is_halted = false;
  bool enabled[3] = {};
};

class ToyRam final : public hypervisor::Memory {
 public:
  Result<void> read_ram(Gpa address, std::span<std::byte> out) override {
    if (address.value + out.size() > kRamSize) return fail(ErrorCode::BadAddress, "behind the RAM");
    std::memcpy(out.data(), &bytes[address.value], out.size());
    return {};
  }
  Result<void> write_ram(Gpa address, std::span<const std::byte> data) override {
    if (address.value + data.size() > kRamSize)
      return fail(ErrorCode::BadAddress, "behind the RAM");
    std::memcpy(&bytes[address.value], data.data(), data.size());
    return {};
  }
  std::uint8_t bytes[kRamSize] = {};
};

class ToyVm final : public hypervisor::Vm {
 public:
  ToyVm() { std::memcpy(&ram_.bytes[kStart], kProgram, sizeof kProgram); }

  unsigned vcpu_count() const override { return 1; }
  hypervisor::Vcpu& vcpu(VcpuId) override { return cpu_; }
  hypervisor::Memory& memory() override { return ram_; }
  void suspend(VcpuId) override {
    if (cpu_.running) leave(hypervisor::exit::Parked{});
  }
  void resume(VcpuId) override { cpu_.running = true; }
  std::optional<hypervisor::VcpuEvent> take_event() override {
    if (events_.empty()) return std::nullopt;
    hypervisor::VcpuEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  const std::optional<hypervisor::VmEnd>& ended() const override { return ended_; }

  // Some instructions, if the vCPU is in the guest.
  void run() {
    for (int i = 0; i < 10000 && cpu_.running && !cpu_.is_halted; ++i) {
      if (!execute()) break;
      if (cpu_.has(Capability::MonitorTrap)) leave(hypervisor::exit::MonitorTrap{});
    }
  }

 private:
  void leave(Exit why) {
    cpu_.running = false;
    events_.push_back({VcpuId{0}, std::move(why)});
  }

  // False where the vCPU has left the guest instead.
  bool execute() {
    std::uint64_t& rip = cpu_.cpu.rip;
    std::uint64_t& rax = cpu_.cpu.reg(x86::Gpr::Rax);
    if (rip + 5 > kRamSize) return die("ran out of the RAM");
    const std::uint8_t* const code = &ram_.bytes[rip];
    switch (code[0]) {
      case 0x40:  // inc eax
        rax = static_cast<std::uint32_t>(rax + 1);
        ++rip;
        return true;
      case 0x90:  // nop
        ++rip;
        return true;
      case 0xa3: {  // mov [moffs32], eax
        std::uint32_t address;
        std::memcpy(&address, code + 1, sizeof address);
        if (address > kRamSize - 4) return die("wrote behind the RAM");
        std::memcpy(&ram_.bytes[address], &rax, 4);
        rip += 5;
        return true;
      }
      case 0xcc:  // int3
        if (!cpu_.has(Capability::BreakpointExit)) return die("met an int3");
        leave(hypervisor::exit::Breakpoint{1});
        return false;
      case 0xeb:  // jmp rel8
        rip += 2 + static_cast<std::uint64_t>(static_cast<std::int8_t>(code[1]));
        return true;
      case 0xf4:  // hlt, for good: nothing interrupts the toy
        ++rip;
        cpu_.is_halted = true;
        return true;
      default:
        return die("met an instruction that it does not know");
    }
  }
  bool die(const char* why) {
    cpu_.running = false;
    ended_ = hypervisor::VmEnd{hypervisor::VmEnd::Kind::Error, 0, std::string("the toy ") + why};
    return false;
  }

  ToyCpu cpu_;
  ToyRam ram_;
  std::deque<hypervisor::VcpuEvent> events_;
  std::optional<hypervisor::VmEnd> ended_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr,
                 "toy_vmm: give one argument, where to listen: 1234, unix:/tmp/toy, stdio\n");
    return 4;
  }
  ToyVm vm;
  const auto endpoint = DebugEndpoint::open(vm, argv[1]);
  if (!endpoint) {
    std::fprintf(stderr, "toy_vmm: %s\n", endpoint.error().text().c_str());
    return 4;
  }
  DebugEndpoint& debugger = **endpoint;
  std::fprintf(stderr, "gdb: listening on %s\n", debugger.where().c_str());
  debugger.start();
  while (!vm.ended() && !debugger.wants_vm_end()) {
    vm.run();
    if (!debugger.serve(std::nullopt)) return 4;
  }
  if (vm.ended()) std::fprintf(stderr, "toy_vmm: %s\n", vm.ended()->reason.c_str());
  return 0;
}
