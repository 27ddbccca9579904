#include "engine/kvm/step/step_pages.h"

#include <span>
#include <utility>
#include <vector>

#include "engine/kvm/code/accesses.h"

namespace ringside::kvm {

void StepPages::note(const std::vector<MemoryAccess>& accesses) {
  const GuestView memory = core_.view();
  core_.system.pages.accessed(
      accesses, [&](Gva address) { return memory.translate(address); }, hits_);
}

void StepPages::note_accesses(Gva start) {
  std::uint8_t code[15];
  const std::size_t size = core_.view().read(start, code);
  note(accesses(std::span(code, size), core_.code_size(), core_.registers.general(),
                core_.registers.system()));
}

void StepPages::open() {
  if (std::exchange(open_, true)) return;
  core_.close_gate();
  core_.system.pages.open();
}

void StepPages::close() {
  if (!std::exchange(open_, false)) return;
  core_.system.pages.close();
  core_.open_gate();
  was_open_ = true;
}

void StepPages::settle(const EntryPoint* handler) {
  if (!watching_ || !was_open_) return;
  if (handler != nullptr) {
    // Of the instruction's accesses nothing is known to have happened. The event's delivery has
    // pushed a frame, from the new stack pointer up.
    hits_.clear();
    const std::uint64_t slots = handler->slot_size == 8 ? 5 : 3;
    note({{core_.stack(0), (slots + (handler->error_code ? 1 : 0)) * handler->slot_size, false,
           true}});
  }
  pages_.note(hits_);
}

}  // namespace ringside::kvm
