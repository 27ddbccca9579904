// Arbitrary lines as what a client and a guest do: packets for a debug server with a toy machine
// behind it, in whatever state. After all of it the client goes, and nothing of it may be left.
//
// The first byte says what machine it is; see script.h for the lines, and play() for events.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "debug/server/server.h"
#include "script.h"
#include "toy_machine.h"

namespace {

using namespace ringside;
using fuzz::ToyMachine;

struct Scene {
  explicit Scene(unsigned kind)
      : machine(1 + kind % 3, kind), server(machine.guest.vm, ToyMachine::options(kind)) {
    server.start();
    server.on_connected();
  }

  void play(std::string_view line) {
    if (line.empty()) return;
    const unsigned event = static_cast<unsigned char>(line[0]);
    const unsigned operand = line.size() > 1 ? static_cast<unsigned char>(line[1]) : 0;
    const VcpuId vcpu{operand % machine.vcpus};
    const Gva address{0x1000 + operand % 8};
    switch (event) {
      case 1:
        for (unsigned i = 0; i < operand; ++i) {
          machine.run();
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
        machine.guest.vm.happen(vcpu, hypervisor::exit::Dead{"a test"});
        return server.drain_events();
      case 7:
        machine.guest.vm.lazy = !machine.guest.vm.lazy;
        return machine.guest.vm.park_all();
      case 8:
        machine.guest.interrupt_pending[vcpu.value] = true;
        return;
      case 9:
        return hit(vcpu, hypervisor::exit::PhysicalWatchpoint{
                             Gpa{0x2000}, hypervisor::WatchKind::Access, operand % 2 == 0});
      case 13:
        if (machine.guest.vm.vcpu(vcpu).in_guest())
          machine.guest.vm.happen(vcpu, hypervisor::exit::GuestPanic{"a test"});
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
    machine.hit(vcpu, exit);
    server.drain_events();
  }

  void leave() {
    machine.guest.vm.lazy = false;
    machine.guest.vm.park_all();
    server.drain_events();
    fuzz::take_output(server);
    server.on_disconnected();
    fuzz::end_what_persists(server);
    machine.check_nothing_is_left();
  }

  void take_output() { fuzz::take_output(server); }

  ToyMachine machine;
  debug::Server server;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::run_script<Scene>(data, size);
  return 0;
}
