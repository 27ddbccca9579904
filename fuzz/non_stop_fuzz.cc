// Arbitrary lines as what several clients do to one debug server at once, what the guest does
// meanwhile and what the machine's owner wants: one client controls the machine, in non-stop mode
// unless it says otherwise, and two look at it or take it over.
//
// While they are there: a vCPU that the client has been told of stays where it is, stops are told
// one at a time, and what looks disturbs nobody. When all have gone, nothing of them may be left.
//
// The first byte says what machine it is; see script.h for the lines, and play() for events.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "debug/server/server.h"
#include "script.h"
#include "told_stops.h"
#include "toy_machine.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::ToyMachine;
namespace exit = hypervisor::exit;

constexpr unsigned kLooks = 14, kLooksMonitor = 15, kLooksRaw = 16;

class Scene {
 public:
  explicit Scene(unsigned kind)
      : machine_(1 + kind % 4, kind), told_(machine_), server_(machine_.guest.vm, options(kind)) {
    namespace opcode = debug::testing::opcode;
    machine_.guest.write(0x1010, {opcode::kIncRax, opcode::kNop, opcode::kJump, 0xfc});
    for (unsigned i = 1; i < machine_.vcpus; i += 2)
      machine_.guest.vm.vcpu({i}).cpu.rip = 0x1010;
    server_.start();
    come((kind & 0x04) == 0);
    settle();
  }

  void play(std::string_view line) {
    if (line.empty()) return;
    const unsigned event = static_cast<unsigned char>(line[0]);
    const unsigned operand = line.size() > 1 ? static_cast<unsigned char>(line[1]) : 0;
    const VcpuId vcpu{operand % machine_.vcpus};
    switch (event) {
      case 1:
        for (unsigned i = 0; i < operand; ++i) {
          machine_.run();
          server_.drain_events();
          told_.check_they_stand();
        }
        break;
      case 2:
        fuzz::send_raw(server_, "\x03");
        break;
      case 3:
        come_or_go(operand);
        break;
      case 4:
        happen(vcpu, operand >> 4);
        break;
      case 5:
        machine_.guest.vm.lazy = (operand & 1) != 0;
        told_.lose_track();
        machine_.guest.vm.park_all();
        break;
      case 6:
        start_or_sleep(vcpu);
        break;
      case 7:
        machine_.guest.interrupt_pending[vcpu.value] = true;
        break;
      case 8:
        now_ += std::chrono::milliseconds(operand);
        break;
      case 9:
        ++asked_;
        server_.while_out([this, operand] { be_asked(operand); });
        break;
      case 13:
        takes_ = !takes_;
        told_.lose_track();
        break;
      case kLooks:
        look(operand, fuzz::framed(line.substr(std::min<std::size_t>(2, line.size()))));
        break;
      case kLooksMonitor:
        look(
            operand,
            fuzz::framed(fuzz::monitor_packet(line.substr(std::min<std::size_t>(2, line.size())))));
        break;
      case kLooksRaw:
        look(operand, line.substr(std::min<std::size_t>(2, line.size())));
        break;
      case fuzz::kMonitor:
        told_.sends("qRcmd");
        fuzz::send_monitor(server_, line.substr(1));
        break;
      case fuzz::kRaw:
        told_.lose_track();
        fuzz::send_raw(server_, line.substr(1));
        break;
      default:
        told_.sends(line);
        fuzz::send_packet(server_, line);
        break;
    }
    settle();
  }

  // The sockets' owner takes output at every line: take_output() below is what the script's reader
  // calls.
  void take_output() {}

  void leave() {
    machine_.guest.vm.lazy = false;
    takes_ = true;
    for (unsigned i = 0; i < 4; ++i)
      rest();
    expect_a_stop_of_all();
    for (debug::Observer*& observer : observers_)
      leave(observer);
    go();
    rest();
    fuzz::end_what_persists(server_);
    for (unsigned i = 0; i < 1000 && server_.has_work(); ++i)
      rest();
    check(served_ == asked_ || machine_.guest.vm.ended());
    check(server_.breakpoints().empty());
    machine_.check_nothing_is_left();
  }

 private:
  using Observers = std::array<debug::Observer*, 2>;

  debug::ServerOptions options(unsigned kind) {
    debug::ServerOptions options = ToyMachine::options(kind);
    options.clock = [this] { return now_ += std::chrono::microseconds(1); };
    return options;
  }

  // --- The sockets' owner, as in src/library

  void come(bool non_stop) {
    server_.on_connected();
    told_.begin();
    if (!non_stop) return;
    told_.sends("QNonStop:1");
    fuzz::send_packet(server_, "QNonStop:1");
  }
  void go() {
    server_.on_disconnected();
    told_.end();
  }
  void come_or_go(unsigned operand) {
    if (operand % 3 == 0) return server_.connected() ? go() : come((operand & 0x10) == 0);
    debug::Observer*& observer = observers_[operand % 3 - 1];
    if (observer == nullptr) {
      observer = &server_.observe();
    } else {
      leave(observer);
    }
  }
  void leave(debug::Observer*& observer) {
    if (observer == nullptr) return;
    server_.leave(*std::exchange(observer, nullptr));
    server_.drain_events();
  }

  void settle() {
    server_.drain_events();
    take_client_output();
    if (server_.wants_close()) go();
    for (debug::Observer*& observer : observers_) {
      if (observer == nullptr) continue;
      while (!observer->output().empty())
        observer->wrote(observer->output().size());
      if (observer->wants_close()) leave(observer);
    }
    for (debug::Observer*& observer : observers_) {
      if (server_.connected() || observer == nullptr || !observer->wants_control()) continue;
      server_.take_over(*std::exchange(observer, nullptr));
      told_.begin();
      told_.lose_track();
    }
  }
  void take_client_output() {
    if (!takes_) return;
    std::string said;
    while (!server_.output().empty()) {
      said += server_.output();
      server_.wrote(server_.output().size());
    }
    told_.hears(said);
  }
  // Nothing is left to do, but for who waits for the guest.
  void rest() {
    for (unsigned i = 0; i < 10; ++i) {
      machine_.guest.vm.park_all();
      now_ += server_.time_to_look().value_or(std::chrono::nanoseconds(0));
      settle();
    }
  }

  // --- What they do

  // A request of one that looks, until it is answered. Nothing that the guest can see comes of it.
  void look(unsigned who, std::string_view bytes) {
    debug::Observer* const observer = observers_[who % observers_.size()];
    if (observer == nullptr || !observer->wants_input()) return;
    settle();
    const bool quiet = !machine_.guest.vm.lazy && takes_ && !server_.has_work();
    const std::string before = machine_.state();
    observer->on_bytes(std::as_bytes(std::span(bytes)));
    server_.observer_acts();
    for (unsigned i = 0; i < 3; ++i) {
      now_ += server_.time_to_look().value_or(std::chrono::nanoseconds(0));
      server_.drain_events();
    }
    if (quiet) check(machine_.state() == before);
  }

  // The client that has the machine can have it stopped, as a whole.
  void expect_a_stop_of_all() {
    if (!told_.is_non_stop() || server_.has_work() || machine_.guest.vm.ended()) return;
    fuzz::send_packet(server_, "vCont;t");
    rest();
    machine_.check_nobody_runs();
  }

  // The guest's and its devices' side.
  void happen(VcpuId vcpu, unsigned what) {
    const std::uint64_t rip = machine_.guest.rip(vcpu.value);
    switch (what % 8) {
      case 0:
        return machine_.hit(vcpu, exit::HardwareBreakpoint{Gva{rip}});
      case 1:
        return machine_.hit(vcpu, exit::HardwareBreakpoint{Gva{0x1000 + rip % 8}});
      case 2:
        return machine_.hit(vcpu, exit::Watchpoint{Gva{0x2000}, hypervisor::WatchKind::Write});
      case 3:
        return machine_.hit(vcpu, exit::PhysicalWatchpoint{
                                      Gpa{0x2000}, hypervisor::WatchKind::Access, rip % 2 == 0});
      case 4:
        return machine_.hit(vcpu, debug::testing::port_write(0x3f8, rip));
      case 5:
        if (machine_.guest.vm.stops_instead_of_death())
          machine_.guest.vm.happen(vcpu, exit::Dead{"a test"});
        return;
      case 6:
        machine_.guest.vm.happen(vcpu, exit::GuestPanic{"a test"});
        return;
      default:
        if (vcpu.value == 3) machine_.guest.vm.end({});
        return;
    }
  }
  // Another vCPU, in the guest, sends it INIT or a start-up IPI.
  void start_or_sleep(VcpuId vcpu) {
    bool sent = false;
    for (unsigned i = 0; i < machine_.vcpus; ++i)
      sent |= i != vcpu.value && machine_.guest.vm.vcpu({i}).in_guest();
    if (vcpu.value == 0 || !sent) return;
    told_.forget(vcpu);
    if (machine_.guest.vm.vcpu(vcpu).active()) {
      machine_.guest.vm.sleep(vcpu);
    } else {
      machine_.guest.vm.start(vcpu);
    }
  }

  // What the machine's owner wants of it while nobody is in the guest.
  void be_asked(unsigned what) {
    ++served_;
    machine_.check_nobody_runs();
    switch (what % 3) {
      case 0:
        check(!server_.monitor("info cpus", {0}, "no").empty());
        return;
      case 1:
        machine_.reset();
        server_.machine_was_reset();
        return told_.forget_all();
      default:
        return;
    }
  }

  std::chrono::steady_clock::time_point now_{};
  ToyMachine machine_;
  fuzz::ToldStops told_;
  debug::Server server_;
  Observers observers_{};
  bool takes_ = true;
  unsigned asked_ = 0, served_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::run_script<Scene>(data, size);
  return 0;
}
