// Which of the guest's vector registers are in the host's, within one block: XMM n of the guest in
// XMM n of the host from its first use on, and what YMM n has above it in YMM n from the first use
// of that. Cpu::fpu has them all at the block's start, at its end, and wherever something can look
// at the guest. Used by the Emitter.
#pragma once

#include <cstdint>

#include "engine/soft/translate/emitter/assembler.h"
#include "engine/soft/translate/emitter/vector_offsets.h"

namespace ringside::soft {

// How much of a register an operand is.
enum class Extent : std::uint8_t { Low, Whole };
// Whether the block has instructions with VEX. If so, what is moved here is moved with VEX, too,
// and the host's upper halves are zero before other code than the block's runs: some processors are
// slow where instructions with VEX and without meet, and something is in the upper halves (Intel's
// optimization manual, 15.3).
enum class Uppers : std::uint8_t { Untouched, Used };

class VectorRegisters {
 public:
  using Set = std::uint16_t;  // a bit for each
  // Of the lower halves and of the upper ones.
  struct Halves {
    Set low = 0, high = 0;
  };

  VectorRegisters(Assembler& code, const VectorOffsets& offsets, Uppers uppers)
      : code_(code), low_(offsets.low), high_(offsets.high), uppers_(uppers) {}

  // The host's register of the same number has the guest's value.
  void read(unsigned guest, Extent extent = Extent::Low) {
    const Set wanted = bit(guest);
    Halves missing;
    if ((held_.low & wanted) == 0) missing.low = wanted;
    if (extent == Extent::Whole && (held_.high & wanted) == 0) missing.high = wanted;
    load(missing);
    held_.low |= missing.low;
    held_.high |= missing.high;
  }
  // An instruction without VEX writes all of the lower half; the host's leaves what is above as the
  // guest's does. Not before its last access that can fault: that is so of the next one, too.
  void write(unsigned guest) {
    held_.low |= bit(guest);
    changed_.low |= bit(guest);
  }
  // One with VEX writes all of the register, if only zeros above.
  void write_whole(unsigned guest) {
    write(guest);
    held_.high |= bit(guest);
    changed_.high |= bit(guest);
  }
  // VZEROUPPER.
  void clear_upper_halves() {
    const int zeros = free_register();
    code_.vpxor(Xbyak::Xmm(zeros), Xbyak::Xmm(zeros), Xbyak::Xmm(zeros));
    for (int i = 0; i < kCount; i += 2)
      code_.vmovups(Xbyak::util::yword[Xbyak::util::rbp + (high_ + 16 * i)], Xbyak::Ymm(zeros));
    code_.vzeroupper();
    held_.high = held_.low;
    changed_.high = 0;
  }

  // To be moved to the Cpu before anything looks at it there.
  Halves changed() const { return changed_; }
  Halves held() const { return held_; }
  // None of these changes the host's flags. Other code than the block's may run after it.
  void store(Halves registers) const {
    for_each(registers.low, [this](int i) {
      uppers_ == Uppers::Used ? code_.vmovaps(low(i), Xbyak::Xmm(i))
                              : code_.movaps(low(i), Xbyak::Xmm(i));
    });
    for_each(registers.high, [this](int i) { code_.vextractf128(high(i), Xbyak::Ymm(i), 1); });
    if (uppers_ == Uppers::Used) code_.vzeroupper();
  }
  void load(Halves registers) const {
    for_each(registers.low, [this](int i) {
      uppers_ == Uppers::Used ? code_.vmovaps(Xbyak::Xmm(i), low(i))
                              : code_.movaps(Xbyak::Xmm(i), low(i));
    });
    for_each(registers.high,
             [this](int i) { code_.vinsertf128(Xbyak::Ymm(i), Xbyak::Ymm(i), high(i), 1); });
  }

  void write_back() {
    store(changed_);
    changed_ = {};
    if (uppers_ == Uppers::Used) held_.high = 0;
  }
  // After something that may have changed the guest's registers, and has changed the host's.
  void forget() { held_ = changed_ = {}; }

 private:
  static constexpr int kCount = 16;
  static Set bit(unsigned guest) { return static_cast<Set>(1u << guest); }
  Xbyak::Address low(int i) const { return Xbyak::util::xword[Xbyak::util::rbp + (low_ + 16 * i)]; }
  Xbyak::Address high(int i) const {
    return Xbyak::util::xword[Xbyak::util::rbp + (high_ + 16 * i)];
  }
  // One that has nothing of the guest's.
  int free_register() {
    for (int i = 0; i < kCount; ++i) {
      if ((held_.low >> i & 1) == 0) return i;
    }
    constexpr int kLast = kCount - 1;
    constexpr Set kLastBit = 1u << kLast, kOthers = kLastBit - 1;
    if ((changed_.low & kLastBit) != 0) code_.vmovaps(low(kLast), Xbyak::Xmm(kLast));
    held_.low &= kOthers, held_.high &= kOthers, changed_.low &= kOthers;
    return kLast;
  }
  template <typename Function>
  static void for_each(Set registers, Function function) {
    for (int i = 0; i < kCount; ++i) {
      if ((registers >> i & 1) != 0) function(i);
    }
  }

  Assembler& code_;
  const int low_, high_;
  const Uppers uppers_;
  Halves held_, changed_;
};

}  // namespace ringside::soft
