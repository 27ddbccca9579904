// Arbitrary bytes as a guest: code, handlers and data on two vCPUs of the software CPU, with the
// whole PC around them. No guest may crash the process, and the same guest runs the same way twice,
// the second time under a debugger that stops the machine and looks at everything.
//
// Byte 0 is the mode, and from 168 on the processor has AVX and the machine a screen; byte 1 where
// the debugger's stops fall; the rest is code from at::kCode on and, in 16-byte pieces, what the
// handlers do.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/state_hash.h"
#include "check.h"
#include "engine/soft/soft_vm.h"
#include "engine/soft/state/xstate.h"
#include "engine/soft/testing/test_cpu.h"
#include "hypervisor/guest_memory.h"
#include "machine/machine.h"
#include "machine/testing/memory_disk.h"
#include "ringside/x86/registers.h"

namespace {

using namespace ringside;
using fuzz::check;
using soft::testing::TestCpu;
namespace at = soft::testing::at;

constexpr std::uint64_t kMemory = 2u << 20;
constexpr std::size_t kTables = at::kStack, kMostCode = 0x4000;
constexpr std::uint64_t kInstructions = 1000;
constexpr std::uint8_t kFirstWithAvx = 168;

// A processor in some mode with tables, stacks and a handler for every vector.
struct Setting {
  x86::CpuState entry;
  std::vector<std::uint8_t> memory;  // from 0
};

enum class Ring { Kernel, User, Virtual8086 };

Setting make_setting(TestCpu::Mode mode, Ring ring) {
  TestCpu cpu(mode);
  if (ring == Ring::User) cpu.enter_user();
  if (ring == Ring::Virtual8086) cpu.enter_8086();
  Setting setting{cpu->state(), {}};
  const std::uint8_t* host = cpu.board().ram.host(Gpa{0}, kTables);
  setting.memory.assign(host, host + kTables);
  return setting;
}

const Setting& setting(unsigned kind) {
  using Mode = TestCpu::Mode;
  static const std::array<Setting, 6> settings = {
      make_setting(Mode::Real, Ring::Kernel),   make_setting(Mode::Protected32, Ring::Kernel),
      make_setting(Mode::Long64, Ring::Kernel), make_setting(Mode::Protected32, Ring::User),
      make_setting(Mode::Long64, Ring::User),   make_setting(Mode::Protected32, Ring::Virtual8086)};
  return settings[kind % settings.size()];
}

class Guest {
 public:
  Guest(std::span<const std::uint8_t> input)
      : ram_(hypervisor::GuestRam::create(kMemory).value()),
        processor_(input[0] < kFirstWithAvx ? hypervisor::Processor::V2
                                            : hypervisor::Processor::V3),
        machine_(ram_, options(processor_)) {
    const Setting& base = setting(input[0]);
    std::memcpy(ram_.host(Gpa{0}, kTables), base.memory.data(), kTables);
    const auto code = input.subspan(2);
    constexpr std::uint8_t kHlt = 0xf4;  // behind the code, where zeros would be slid through
    std::memset(ram_.host(Gpa{at::kCode}, kMostCode), kHlt, kMostCode);
    std::memcpy(ram_.host(Gpa{at::kCode}, code.size()), code.data(), code.size());
    for (std::size_t i = 0; i + 16 <= code.size() && i < 32u * 16; ++i)
      *ram_.host(Gpa{at::kHandlers + i}, 1) = code[code.size() - 1 - i];
    x86::CpuState entry = base.entry;
    // Addresses of RAM, of devices and of nothing.
    constexpr std::uint64_t kValues[] = {at::kData, 0xfee00300, 0x3f8,     0xd0000000,
                                         ~0ull,     7,          0xfec00010};
    for (std::size_t i = 0; i < entry.gpr.size(); ++i) {
      if (i != static_cast<std::size_t>(x86::Gpr::Rsp))
        entry.gpr[i] = kValues[(i + input[0] / 6u) % std::size(kValues)];
    }
    if (processor_ == hypervisor::Processor::V3) {
      ram_.add_text_memory();
      entry.cr4 |= x86::cr4::OSFXSR | x86::cr4::OSXSAVE | x86::cr4::PKE;
      entry.xcr0 = soft::xstate::kAll;
      for (std::size_t i = 0; i < entry.fpu.vector.size(); ++i)
        entry.fpu.vector[i].fill(static_cast<std::uint8_t>(37 * i));
    }
    engine_ = soft::create(ram_, machine_, entry, {.vcpus = 2, .processor = processor_});
    machine_.connect(*engine_);
    engine_->resume({0});
  }

  // Up to `count` instructions of all vCPUs together; false when there will be no more.
  bool run_to(std::uint64_t count) {
    engine_->stop_at(InsnCount{count});
    for (unsigned idle = 0; engine_->total_instructions().value < count;) {
      if (const auto event = engine_->take_event()) {
        if (std::holds_alternative<hypervisor::exit::Dead>(event->exit)) return false;
        engine_->resume(event->vcpu);
      } else if (engine_->ended()) {
        return false;
      } else if (!engine_->run_slice()) {
        const auto until = engine_->idle_until();
        if (!until || *until == kNever || ++idle == 20) return false;
        engine_->advance_to(*until);
      }
    }
    return true;
  }

  // What a debugger does that only looks.
  void look() {
    for (std::uint32_t i = 0; i < engine_->vcpu_count(); ++i) {
      const bool running = engine_->vcpu({i}).in_guest();
      if (running) engine_->suspend({i});
      look_at({i});
      if (!running) continue;
      // The event of the suspension comes when the engine is asked to run, and nothing runs by it.
      while (engine_->vcpu({i}).in_guest() && !engine_->ended()) {
        if (const auto event = engine_->take_event())
          waiting_.push_back(event->vcpu);
        else
          engine_->run_slice();
      }
    }
    while (const auto event = engine_->take_event())
      waiting_.push_back(event->vcpu);
    for (const VcpuId vcpu : waiting_)
      if (!engine_->vcpu(vcpu).in_guest()) engine_->resume(vcpu);
    waiting_.clear();
  }

  std::uint64_t hash() {
    StateHasher hasher;
    engine_->visit_state(hasher);
    machine_.visit_state(hasher);
    return hasher.value();
  }
  std::uint64_t count() const { return engine_->total_instructions().value; }

 private:
  static machine::MachineOptions options(hypervisor::Processor processor) {
    machine::MachineOptions options;
    options.text_card = processor == hypervisor::Processor::V3;
    options.vcpus = 2;
    options.debug_exit = true;
    options.guest_gdb = true;
    options.disks.push_back(std::make_shared<machine::testing::MemoryDisk>(4096));
    options.debugcon = [](std::span<const std::byte>) {};
    return options;
  }
  void look_at(VcpuId id) {
    hypervisor::Vcpu& vcpu = engine_->vcpu(id);
    const auto state = vcpu.state();
    if (!state) return;
    (void)vcpu.read_register(x86::Register::Rip);
    (void)hypervisor::read_virtual(*engine_, id, Gva{state->rip}, 64);
    (void)hypervisor::read_virtual(*engine_, id, Gva{state->reg(x86::Gpr::Rsp)}, 64);
  }

  hypervisor::GuestRam ram_;
  const hypervisor::Processor processor_;
  machine::Machine machine_;
  std::unique_ptr<soft::SoftEngine> engine_;
  std::vector<VcpuId> waiting_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3 || size > kMostCode) return 0;
  const std::span input(data, size);
  Guest alone(input);
  alone.run_to(kInstructions);
  Guest watched(input);
  const std::uint64_t stride = 1 + data[1] * 7u;
  for (std::uint64_t count = stride;
       watched.run_to(std::min(count, kInstructions)) && count < kInstructions; count += stride) {
    watched.look();
  }
  check(alone.count() == watched.count());
  check(alone.hash() == watched.hash());
  return 0;
}
