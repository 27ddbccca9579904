// Arbitrary lines as what a client and a guest do: packets for a debug server with a machine behind
// it, in whatever state. After all of it the client goes, and nothing of it may be left.
//
// The first byte says what machine it is. A line that begins with a control character is not a
// packet but an event; see play().
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "debug/server.h"
#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/toy_guest.h"
#include "rsp/framing.h"

namespace {

using namespace ringside;
using debug::testing::FakeStoppoints;
using debug::testing::ToyGuest;

// Stays on in every build, unlike assert.
void check(bool condition) {
  if (!condition) std::abort();
}

struct Scene {
  explicit Scene(unsigned kind)
      : vcpus(1 + kind % 3), guest(vcpus), server(guest.vm, options(kind)) {
    engine.physical_supported = (kind & 0x08) != 0;
    engine.filters = (kind & 0x10) != 0;
    if ((kind & 0x20) != 0) guest.vm.offer(&engine);
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

  void take_output() {
    while (!server.output().empty())
      server.wrote(server.output().size());
    if (server.wants_close()) {
      server.on_disconnected();
      server.on_connected();
    }
  }
  void bytes(std::string_view data) { server.on_bytes(std::as_bytes(std::span(data))); }

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
        return bytes("\x03");
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
      default:
        break;
    }
    packet(line);
  }
  void packet(std::string_view line) {
    std::string frame;
    rsp::append_frame(frame, line, rsp::RunLengthOutput::Off);
    bytes(frame);
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
    take_output();
    server.on_disconnected();
    // Commands that persist are all that a client can leave, and the next one can end them.
    server.on_connected();
    packet("qRcmd,666f72676574");  // forget
    take_output();
    server.on_disconnected();
    check(engine.physical.empty() && engine.linear.empty() && engine.filter == nullptr);
    for (unsigned i = 0; i < vcpus; ++i) {
      check(!guest.vm.vcpu({i}).has(hypervisor::Capability::BreakpointExit));
      check(!guest.vm.vcpu({i}).has(hypervisor::Capability::MonitorTrap));
      check(!guest.vm.vcpu({i}).has(hypervisor::Capability::MaskInterrupts));
      check(guest.vm.vcpu({i}).in_guest() || !guest.vm.vcpu({i}).active());
    }
  }

  unsigned vcpus;
  FakeStoppoints engine;
  ToyGuest guest;
  debug::Server server;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 16384) return 0;
  Scene scene(data[0]);
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (unsigned lines = 0; !text.empty() && lines < 300; ++lines) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    scene.play(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (lines % 4 != 3) scene.take_output();
  }
  scene.leave();
  return 0;
}
