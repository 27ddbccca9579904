// A toy guest on an engine that offers what real ones might, for the targets without a real
// machine. For the targets alone.
#pragma once

#include <string>

#include "debug/server/server.h"
#include "debug/testing/fake_catches.h"
#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/toy_guest.h"
#include "script.h"

namespace ringside::fuzz {

struct ToyMachine {
  // Bits of `kind`, an input's first byte: what the engine offers, and the server's options.
  ToyMachine(unsigned count, unsigned kind) : vcpus(count), guest(count) {
    engine.physical_supported = (kind & 0x08) != 0;
    engine.filters = (kind & 0x10) != 0;
    if (!engine.physical_supported && engine.filters) engine.to_lend = 2;
    if ((kind & 0x20) != 0) engine.give_to(guest.vm);
    guest.vm.offer.catches = &catches;
    for (unsigned i = 1; i < vcpus; ++i)
      guest.vm.make_active({i});
    namespace opcode = debug::testing::opcode;
    guest.write(0x1000, {opcode::kIncRax, opcode::kNop, opcode::kInt3, opcode::kJump, 0xfb});
    guest.write(debug::testing::ToyGuest::kHandler, {opcode::kHlt});
  }
  static debug::ServerOptions options(unsigned kind) {
    debug::ServerOptions options;
    options.wait = (kind & 0x40) != 0;
    if ((kind & 0x80) != 0) options.breakpoints = debug::BreakpointMechanism::Int3;
    return options;
  }

  // An instruction on each vCPU that is in the guest.
  void run() {
    // The toy guest has nothing beyond its memory, not even a fault.
    for (unsigned i = 0; i < vcpus; ++i)
      guest.vm.vcpu({i}).cpu.rip &= 0x7fff;
    guest.run();
  }

  // What the engine was asked to stop at, where the server's filter wants that.
  void hit(VcpuId vcpu, const hypervisor::Exit& exit) {
    if (!guest.vm.vcpu(vcpu).in_guest()) return;
    if (engine.filter != nullptr && !engine.filter->wants_stop(vcpu, exit)) return;
    guest.vm.happen(vcpu, exit);
  }

  // What vCPUs are and do, and where.
  std::string state() {
    std::string text;
    for (unsigned i = 0; i < vcpus; ++i) {
      const auto& vcpu = guest.vm.vcpu({i});
      text += std::to_string(vcpu.cpu.rip) + ' ' + std::to_string(guest.rax(i));
      text += vcpu.in_guest() ? " in, " : " out, ";
    }
    return text;
  }
  // As at power-on, with nobody in the guest.
  void reset() {
    for (unsigned i = 0; i < vcpus; ++i) {
      guest.vm.set_halted({i}, false);
      guest.vm.vcpu({i}).injected.reset();
      guest.vm.vcpu({i}).cpu.rip = 0x1000;
      if (i > 0) guest.vm.make_inactive({i});
    }
  }
  void check_nobody_runs() {
    for (unsigned i = 0; i < vcpus; ++i)
      check(!guest.vm.vcpu({i}).in_guest());
  }

  // Every client has gone, and everything has happened that was to happen.
  void check_nothing_is_left() {
    check(engine.physical.empty() && engine.linear.empty() && engine.filter == nullptr);
    check(catches.all.empty());
    for (unsigned i = 0; i < vcpus; ++i) {
      const auto& vcpu = guest.vm.vcpu({i});
      // One that waits for its start-up IPI is told anew when that comes.
      if (!vcpu.active()) continue;
      check(!vcpu.has(hypervisor::Capability::BreakpointExit));
      check(!vcpu.has(hypervisor::Capability::MonitorTrap));
      check(!vcpu.has(hypervisor::Capability::MaskInterrupts));
      check(vcpu.in_guest());
    }
  }

  unsigned vcpus;
  debug::testing::FakeStoppoints engine;
  debug::testing::FakeCatches catches;
  debug::testing::ToyGuest guest;
};

}  // namespace ringside::fuzz
