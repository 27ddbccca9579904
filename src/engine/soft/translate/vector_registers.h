// Which of the guest's XMM registers are in the host's, within one block: XMM n of the guest in XMM
// n of the host from its first use on. Cpu::fpu has them all at the block's start, at its end, and
// wherever something can look at the guest. Used by the Emitter.
#pragma once

#include <cstdint>

#include "engine/soft/translate/assembler.h"

namespace ringside::soft {

class VectorRegisters {
 public:
  using Set = std::uint16_t;  // a bit for each

  // `offset` is that of Cpu::fpu.xmm from RBP.
  VectorRegisters(Assembler& code, int offset) : code_(code), offset_(offset) {}

  // The host register that has the guest's value.
  Xbyak::Xmm read(unsigned guest) {
    if ((held_ >> guest & 1) == 0) {
      load(bit(guest));
      held_ |= bit(guest);
    }
    return Xbyak::Xmm(static_cast<int>(guest));
  }
  // The same, and the instruction changes it: not before its last access that can fault.
  Xbyak::Xmm modify(unsigned guest) {
    read(guest);
    return write(guest);
  }
  // The same, where nothing of the old value stays.
  Xbyak::Xmm write(unsigned guest) {
    held_ |= bit(guest);
    changed_ |= bit(guest);
    return Xbyak::Xmm(static_cast<int>(guest));
  }

  // To be moved to the Cpu before anything looks at it there.
  Set changed() const { return changed_; }
  Set held() const { return held_; }
  // Neither changes the host's flags.
  void store(Set registers) const {
    for_each(registers, [this](int i) { code_.movaps(at(i), Xbyak::Xmm(i)); });
  }
  void load(Set registers) const {
    for_each(registers, [this](int i) { code_.movaps(Xbyak::Xmm(i), at(i)); });
  }

  void write_back() {
    store(changed_);
    changed_ = 0;
  }
  // After something that may have changed the guest's registers, and has changed the host's.
  void forget() { held_ = changed_ = 0; }

 private:
  static Set bit(unsigned guest) { return static_cast<Set>(1u << guest); }
  Xbyak::Address at(int i) const {
    return Xbyak::util::xword[Xbyak::util::rbp + (offset_ + 16 * i)];
  }
  template <typename Function>
  static void for_each(Set registers, Function function) {
    for (int i = 0; i < 16; ++i) {
      if ((registers >> i & 1) != 0) function(i);
    }
  }

  Assembler& code_;
  const int offset_;
  Set held_ = 0, changed_ = 0;
};

}  // namespace ringside::soft
