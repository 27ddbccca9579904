// The main loop sleeps only when another round would change nothing: a real guest on the software
// CPU, and a client that sends anything, takes what it is sent in pieces, or goes, at any moment of
// a round.
#include "cli/waiting.h"

#include "debug/server/server.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/soft/soft_vm.h"
#include "machine/machine.h"
#include "rsp/framing.h"

namespace ringside::cli {
namespace {

constexpr std::uint64_t kStart = 0x1000;

struct Guest {
  const char* name;
  std::vector<std::uint8_t> code;
};

const Guest kGuests[] = {
    {"counts", {0x40, 0x90, 0x40, 0xeb, 0xfb}},                   // inc eax; nop; inc eax; jmp
    {"idles", {0xfb, 0xf4, 0x40, 0xeb, 0xfb}},                    // sti; hlt; inc eax; jmp
    {"halts for good", {0x40, 0x90, 0xfa, 0xf4, 0xeb, 0xfd}},     // inc eax; nop; cli; hlt
    {"writes", {0x66, 0xba, 0xf8, 0x03, 0x40, 0xee, 0xeb, 0xfc}}  // COM1: mov dx; inc eax; out; jmp
};

const char* const kPackets[] = {"?",
                                "g",
                                "m0,2000",
                                "m0,2000",
                                "m0,2000",
                                "c",
                                "c",
                                "s",
                                "D",
                                "k",
                                "vCont?",
                                "vCont;c",
                                "vCont;s:1",
                                "Z0,1001,1",
                                "z0,1001,1",
                                "Z0,1000,1;X3,220027",
                                "z0,1000,1",
                                "Z1,1003,1",
                                "z1,1003,1",
                                "P8=00100000",
                                "QStartNoAckMode",
                                "qSearch:memory:0;100000;needle"};

class World {
 public:
  explicit World(unsigned seed, const Guest& guest) : random_(seed) {
    std::copy(guest.code.begin(), guest.code.end(), ram_.host({kStart}, guest.code.size()));
    machine::MachineOptions options;
    options.serial[0] =
        machine::ByteSink([this](std::span<const std::byte> bytes) { printed_ += bytes.size(); },
                          [this] { return printed_ >= 1000; });
    machine_ = std::make_unique<machine::Machine>(ram_, std::move(options));
    x86::CpuState entry = x86::reset_state();
    entry.cr0 |= x86::cr0::PE;
    entry.seg(x86::SegmentName::Cs) = {8, x86::kAttributesCode32, 0xffffffff, 0};
    entry.rip = kStart;
    engine_ = soft::create(ram_, *machine_, entry, soft::Options{1, 0});
    machine_->connect(*engine_);
    timeline_ = std::make_unique<time::Timeline>(*engine_, *machine_, time::Pace::On);
    debug::ServerOptions server;
    server.wait = pick(2) == 0;
    server_ = std::make_unique<debug::Server>(*engine_, server);
    server_->start();
  }

  bool over() const { return engine_->ended().has_value(); }

  // A round of the main loop with whatever comes from outside; then, where it would sleep, another
  // one with nothing from outside.
  void round() {
    outside();
    const Slice slice = run_slice();
    settle(true);
    if (over()) return;
    const auto now = time::Timeline::Clock::now();
    const auto wait = time_to_wait(slice, *engine_, server_->has_work(), *timeline_, now);
    timeline_->end_wait(now);
    if (slice == Slice::Ran || wait == std::chrono::nanoseconds(0)) return;
    const std::string before = state();
    const Slice again = run_slice();
    settle(false);
    EXPECT_EQ(again, Slice::Idle);
    EXPECT_FALSE(over()) << engine_->ended()->reason;
    EXPECT_EQ(state(), before);
  }

 private:
  std::size_t pick(std::size_t count) { return random_() % count; }

  // What poll(2) brings between two rounds.
  void outside() {
    if (!server_->connected()) {
      if (pick(2) == 0) server_->on_connected();
      return;
    }
    if (pick(4) == 0) printed_ = 0, machine_->output_has_room();
    if (pick(12) == 0) return server_->on_disconnected();
    std::string bytes;
    for (std::size_t i = pick(4); i > 0; --i) {
      if (pick(6) == 0) bytes += '\x03';
      rsp::append_frame(bytes, kPackets[pick(std::size(kPackets))], rsp::RunLengthOutput::Off);
    }
    if (server_->wants_input()) server_->on_bytes(std::as_bytes(std::span(bytes)));
  }
  Slice run_slice() { return engine_->run_slice() ? Slice::Ran : Slice::Idle; }

  // As SingleClient does it: writes what the socket takes, and notices that the client has gone.
  void settle(bool client_acts) {
    server_->drain_events();
    if (!client_acts || !server_->connected()) return;
    for (std::size_t room = pick(3) * 20'000; room > 0 && !server_->output().empty();) {
      const std::size_t count = std::min(room, server_->output().size());
      room -= count;
      server_->wrote(count);
    }
    if (pick(12) == 0 || server_->wants_close()) server_->on_disconnected();
  }

  std::string state() {
    hypervisor::Vcpu& vcpu = engine_->vcpu({0});
    return fmt::format("{} instructions, {}in the guest, {} to write, reads: {}, closes: {}",
                       engine_->total_instructions().value, vcpu.in_guest() ? "" : "not ",
                       server_->output().size(), server_->wants_input(), server_->wants_close());
  }

  std::mt19937 random_;
  hypervisor::GuestRam ram_ = hypervisor::GuestRam::create(1u << 20).value();
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<soft::SoftEngine> engine_;
  std::unique_ptr<time::Timeline> timeline_;
  std::unique_ptr<debug::Server> server_;
  std::size_t printed_ = 0;
};

TEST(Waiting, OnlyWhenAnotherRoundWouldChangeNothing) {
  for (const Guest& guest : kGuests) {
    for (unsigned seed = 0; seed < 100; ++seed) {
      SCOPED_TRACE(fmt::format("a guest that {}, seed {}", guest.name, seed));
      World world(seed, guest);
      for (int i = 0; i < 100 && !world.over(); ++i)
        world.round();
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace ringside::cli
