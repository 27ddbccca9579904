// Arbitrary lines as what a client and a guest do: packets for a debug server with a toy machine
// behind it, in whatever state. After all of it the client goes, and nothing of it may be left.
//
// The first byte says what machine it is; see script.h for the lines, and play() for events.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "debug/server/server.h"
#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/toy_guest.h"
#include "script.h"

namespace {

using namespace ringside;
using debug::testing::FakeStoppoints;
using debug::testing::ToyGuest;
using fuzz::check;

struct Scene {
  explicit Scene(unsigned kind)
      : vcpus(1 + kind % 3), guest(vcpus), server(guest.vm, options(kind)) {
    engine.physical_supported = (kind & 0x08) != 0;
    engine.filters = (kind & 0x10) != 0;
    if (!engine.physical_supported && engine.filters) engine.to_lend = 2;
    if ((kind & 0x20) != 0) engine.give_to(guest.vm);
    for (unsigned i = 1; i < vcpus; ++i)
      guest.vm.make_active({i});
    namespace opcode = debug::testing::opcode;
    guest.write(0x1000, {opcode::kIncRax, opcode::kNop, opcode::kInt3, opcode::kJump, 0xfb});
    guest.write(ToyGuest::kHandler, {opcode::kHlt});
    server.start();
    server.on_connected();
  }
  static debug::ServerOptions options(unsigned kind) {
    debug::ServerOptions options;
    options.wait = (kind & 0x40) != 0;
    if ((kind & 0x80) != 0) options.breakpoints = debug::BreakpointMechanism::Int3;
    return options;
  }

  void play(std::string_view line) {
    if (line.empty()) return;
    const unsigned event = static_cast<unsigned char>(line[0]);
    const unsigned operand = line.size() > 1 ? static_cast<unsigned char>(line[1]) : 0;
    const VcpuId vcpu{operand % vcpus};
    const Gva address{0x1000 + operand % 8};
    switch (event) {
      case 1:
        for (unsigned i = 0; i < operand; ++i) {
          // The toy guest has nothing beyond its memory, not even a fault.
          for (unsigned v = 0; v < vcpus; ++v)
            guest.vm.vcpu({v}).cpu.rip &= 0x7fff;
          guest.run();
          server.drain_events();
        }
        return;
      case 2:
        return fuzz::send_raw(server, "\x03");
      case 3:
        server.on_disconnected();
        return server.on_connected();
      case 4:
        hit(vcpu, hypervisor::exit::HardwareBreakpoint{address});
        return;
      case 5:
        hit(vcpu, hypervisor::exit::Watchpoint{address, hypervisor::WatchKind::Write});
        return;
      case 6:
        guest.vm.happen(vcpu, hypervisor::exit::Dead{"a test"});
        return server.drain_events();
      case 7:
        guest.vm.lazy = !guest.vm.lazy;
        return guest.vm.park_all();
      case 8:
        guest.interrupt_pending[vcpu.value] = true;
        return;
      case 9:
        return hit(vcpu, hypervisor::exit::PhysicalWatchpoint{
                             Gpa{0x2000}, hypervisor::WatchKind::Access, operand % 2 == 0});
      case 10:
        if (guest.vm.vcpu(vcpu).in_guest())
          guest.vm.happen(vcpu, hypervisor::exit::GuestPanic{"a test"});
        return server.drain_events();
      case fuzz::kMonitor:
        return fuzz::send_monitor(server, line.substr(1));
      case fuzz::kRaw:
        return fuzz::send_raw(server, line.substr(1));
      default:
        return fuzz::send_packet(server, line);
    }
  }
  void hit(VcpuId vcpu, const hypervisor::Exit& exit) {
    if (!guest.vm.vcpu(vcpu).in_guest()) return;
    if (engine.filter != nullptr && !engine.filter->wants_stop(vcpu, exit)) return;
    guest.vm.happen(vcpu, exit);
    server.drain_events();
  }

  void leave() {
    guest.vm.lazy = false;
    guest.vm.park_all();
    server.drain_events();
    fuzz::take_output(server);
    server.on_disconnected();
    // Commands that persist are all that a client can leave, and the next one can end them.
    server.on_connected();
    fuzz::send_monitor(server, "forget");
    fuzz::take_output(server);
    server.on_disconnected();
    check(engine.physical.empty() && engine.linear.empty() && engine.filter == nullptr);
    for (unsigned i = 0; i < vcpus; ++i) {
      check(!guest.vm.vcpu({i}).has(hypervisor::Capability::BreakpointExit));
      check(!guest.vm.vcpu({i}).has(hypervisor::Capability::MonitorTrap));
      check(!guest.vm.vcpu({i}).has(hypervisor::Capability::MaskInterrupts));
      check(guest.vm.vcpu({i}).in_guest() || !guest.vm.vcpu({i}).active());
    }
  }

  void take_output() { fuzz::take_output(server); }

  unsigned vcpus;
  FakeStoppoints engine;
  ToyGuest guest;
  debug::Server server;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::run_script<Scene>(data, size);
  return 0;
}
