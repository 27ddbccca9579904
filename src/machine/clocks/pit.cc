#include "machine/clocks/pit.h"

#include "machine/clocks/clock_math.h"

namespace ringside::machine {
namespace {

// The refresh request of the original PC: it toggles about every 15.1 microseconds, and old
// software counts it as a clock.
constexpr std::uint64_t kRefreshNs = 15'085;

}  // namespace

Pit::Pit(EventQueue& events, hypervisor::CpuPort& cpus, InterruptLine interrupt)
    : cpus_(cpus), interrupt_(interrupt), timer_(events, *this) {}

void Pit::reset() {
  for (PitChannel& channel : channels_)
    channel.reset();
  channels_[2].set_gate(false, 0);
  speaker_ = 0;
  timer_.cancel();
  interrupt_.set(false);
}

void Pit::visit_state(StateVisitor& visitor) {
  for (PitChannel& channel : channels_)
    channel.visit_state(visitor);
  visitor.field(speaker_);
}

std::uint64_t Pit::tick() const { return ns_to_ticks(cpus_.now().ns, kPitHz); }

void Pit::schedule() {
  const auto rise = channels_[0].next_rise(tick());
  timer_.arm(rise ? VirtualTime{ticks_to_ns(*rise, kPitHz)} : kNever);
}

void Pit::run_event(unsigned, VirtualTime) {
  interrupt_.pulse();
  schedule();
}

std::uint8_t Pit::read_port(std::uint16_t port) {
  if (port < kControl) return channels_[port - kPort].read(tick());
  return peek_port(port);
}

std::uint8_t Pit::peek_port(std::uint16_t port) const {
  if (port == kSpeakerPort) return read_speaker_port();
  if (port == kControl) return 0xff;  // write-only
  return channels_[port - kPort].peek(tick());
}

void Pit::write_port(std::uint16_t port, std::uint8_t value) {
  if (port == kSpeakerPort) {
    speaker_ = value & 0xf;
    channels_[2].set_gate((value & 1) != 0, tick());
  } else if (port == kControl) {
    write_control(value);
  } else {
    channels_[port - kPort].write(value, tick());
    if (port == kPort) {
      // In mode 0 the output is low until the count is over.
      if (channels_[0].mode() == 0) interrupt_.set(false);
      schedule();
    }
  }
}

void Pit::write_control(std::uint8_t word) {
  const unsigned select = word >> 6;
  if (select == 3) {  // read-back
    for (unsigned i = 0; i < 3; ++i) {
      if (!(word & 2u << i)) continue;
      if (!(word & 0x20)) channels_[i].latch_count(tick());
      if (!(word & 0x10)) channels_[i].latch_status(tick());
    }
    return;
  }
  if ((word & 0x30) == 0) {
    channels_[select].latch_count(tick());
    return;
  }
  channels_[select].control(word, tick());
  if (select == 0) {
    if (channels_[0].mode() == 0) interrupt_.set(false);
    schedule();
  }
}

std::uint8_t Pit::read_speaker_port() const {
  const bool refresh = (cpus_.now().ns / kRefreshNs & 1) != 0;
  return static_cast<std::uint8_t>(speaker_ | (refresh ? 0x10 : 0) |
                                   (channels_[2].output(tick()) ? 0x20 : 0));
}

}  // namespace ringside::machine
