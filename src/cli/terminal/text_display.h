// The guest's text card on standard output, and what is typed there as its keyboard's keys. Owned
// by the program; main thread. It only looks: what the guest does is the same with it and without,
// but for the keys, which are inputs of the run.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "cli/terminal/host_output.h"
#include "machine/machine.h"
#include "platform/guest_ram.h"
#include "screen/painter.h"

namespace ringside::cli {

// What the card shows now; an error where there is none.
Result<screen::Picture> picture_of(const machine::Machine& machine,
                                   const hypervisor::GuestRam& ram);

class TextDisplay {
 public:
  using Clock = std::chrono::steady_clock;
  // `room` says how many bytes of scan codes the guest can take, `press` gives it some.
  struct Keyboard {
    std::function<std::size_t()> room;
    std::function<void(std::span<const std::byte>)> press;
  };
  // The machine and its memory outlive this.
  TextDisplay(const machine::Machine& machine, const hypervisor::GuestRam& ram,
              std::shared_ptr<HostOutput> output, Keyboard keyboard);
  ~TextDisplay();
  TextDisplay(const TextDisplay&) = delete;
  TextDisplay& operator=(const TextDisplay&) = delete;

  // How many typed bytes are welcome: none while keys wait for the guest.
  std::size_t room() const;
  void type(std::span<const std::byte> typed);

  // Gives the guest keys, and shows what has changed, if the last look was long enough ago.
  void update(Clock::time_point now);
  // Until it is to be called again at the latest.
  Clock::duration time_to_look(Clock::time_point now) const;

 private:
  void show();
  void append(std::string_view text);

  const machine::Machine& machine_;
  const hypervisor::GuestRam& ram_;
  std::shared_ptr<HostOutput> output_;
  Keyboard keyboard_;
  screen::Painter painter_;
  std::deque<std::byte> keys_;
  Clock::time_point next_look_;
};

}  // namespace ringside::cli
