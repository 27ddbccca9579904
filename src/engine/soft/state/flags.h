// RFLAGS with lazy arithmetic flags. The arithmetic flags are kept as the last result and its
// vector of carries and are computed when somebody asks. There is no raw access: every reader and
// writer goes through a name. Plain data, part of Cpu, single thread.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "base/state_visitor.h"
#include "ringside/x86/bits.h"

namespace ringside::soft {

class Flags {
 public:
  bool cf() const { return (carries_ >> 63) != 0; }
  bool of() const { return ((carries_ >> 63) ^ (carries_ >> 62 & 1)) != 0; }
  bool zf() const { return result_ == 0; }
  bool sf() const { return ((result_ >> 63) ^ (extra_ & kSignDiffers)) != 0; }
  bool pf() const {
    return (std::popcount(static_cast<std::uint8_t>(result_ ^ (extra_ >> kParityShift))) & 1) == 0;
  }
  bool af() const { return (extra_ & kAux) != 0; }

  bool tf() const { return (system_ & x86::rflags::TF) != 0; }
  bool interrupts() const { return (system_ & x86::rflags::IF) != 0; }
  bool df() const { return (system_ & x86::rflags::DF) != 0; }
  unsigned iopl() const { return (system_ >> x86::rflags::kIoplShift) & 3; }
  bool vm() const { return (system_ & x86::rflags::VM) != 0; }
  bool nt() const { return (system_ & x86::rflags::NT) != 0; }
  bool rf() const { return (system_ & x86::rflags::RF) != 0; }
  bool ac() const { return (system_ & x86::rflags::AC) != 0; }
  void set_system(std::uint64_t bits, bool on) { system_ = on ? system_ | bits : system_ & ~bits; }

  // The condition of Jcc, SETcc and CMOVcc by its 4-bit encoding (SDM 2 appendix B.1.4.7).
  bool condition(unsigned code) const {
    bool value = false;
    switch (code >> 1) {
      case 0:
        value = of();
        break;
      case 1:
        value = cf();
        break;
      case 2:
        value = zf();
        break;
      case 3:
        value = cf() || zf();
        break;
      case 4:
        value = sf();
        break;
      case 5:
        value = pf();
        break;
      case 6:
        value = sf() != of();
        break;
      default:
        value = zf() || sf() != of();
        break;
    }
    return value != ((code & 1) != 0);
  }

  // After r = a + b (+ carry) and r = a - b (- borrow), at T's width.
  template <typename T>
  void set_add(T a, T b, T r) {
    set_carries(r, static_cast<T>((a & b) | ((a | b) & ~r)));
  }
  template <typename T>
  void set_sub(T a, T b, T r) {
    set_carries(r, static_cast<T>((~a & b) | ((~a | b) & r)));
  }
  // After and, or, xor, test: CF and OF clear (AF undefined, here clear).
  template <typename T>
  void set_logic(T r) {
    set_result(r);
    carries_ = 0;
    extra_ = 0;
  }
  // After inc and dec: CF is kept.
  template <typename T>
  void set_inc(T a, T r) {
    const bool carry = cf();
    set_add<T>(a, 1, r);
    set_cf(carry);
  }
  template <typename T>
  void set_dec(T a, T r) {
    const bool carry = cf();
    set_sub<T>(a, 1, r);
    set_cf(carry);
  }
  // SF, ZF and PF from a result; CF, OF and AF given. For shifts, multiplications and the like.
  template <typename T>
  void set_result_with(T r, bool carry, bool overflow, bool aux = false) {
    set_result(r);
    extra_ = aux ? kAux : 0;
    set_cf_of(carry, overflow);
  }
  // Single flags; the others stay.
  void set_cf(bool carry) { set_cf_of(carry, of()); }
  void set_of(bool overflow) { set_cf_of(cf(), overflow); }
  void set_cf_of(bool carry, bool overflow) {
    carries_ = static_cast<std::uint64_t>(carry) << 63 |
               static_cast<std::uint64_t>(carry != overflow) << 62;
  }
  void set_zf(bool zero) {
    set_arithmetic((arithmetic() & ~x86::rflags::ZF) | (zero ? x86::rflags::ZF : 0));
  }
  // All six arithmetic flags from their RFLAGS bits.
  void set_arithmetic(std::uint64_t bits) {
    using namespace x86::rflags;
    const bool zero = (bits & ZF) != 0;
    result_ = zero ? 0 : 1;  // sign 0; parity of the low byte: even for 0, odd for 1
    extra_ = (bits & SF) != 0 ? kSignDiffers : 0;
    if ((bits & AF) != 0) extra_ |= kAux;
    if (((bits & PF) != 0) != zero) extra_ |= 1u << kParityShift;
    set_cf_of((bits & CF) != 0, (bits & OF) != 0);
  }
  std::uint64_t arithmetic() const {
    using namespace x86::rflags;
    return (cf() ? CF : 0) | (pf() ? PF : 0) | (af() ? AF : 0) | (zf() ? ZF : 0) | (sf() ? SF : 0) |
           (of() ? OF : 0);
  }

  // The whole register. Bit 1 reads as one, bits 3, 5, 15 and 22.. as zero.
  std::uint64_t value() const { return arithmetic() | system_ | x86::rflags::Fixed; }
  void set_value(std::uint64_t value) {
    set_arithmetic(value);
    system_ = value & kSystemBits;
  }

  void visit_state(StateVisitor& visitor) {
    std::uint64_t whole = value();
    visitor.field(whole);
    if (visitor.loading()) set_value(whole);
  }

 private:
  static constexpr std::uint32_t kSignDiffers = 1, kAux = 1u << 16;
  static constexpr unsigned kParityShift = 8;
  static constexpr std::uint64_t kSystemBits =
      x86::rflags::TF | x86::rflags::IF | x86::rflags::DF | x86::rflags::IOPL | x86::rflags::NT |
      x86::rflags::RF | x86::rflags::VM | x86::rflags::AC | x86::rflags::VIF | x86::rflags::VIP |
      x86::rflags::ID;

  template <typename T>
  void set_result(T r) {
    result_ = static_cast<std::uint64_t>(
        static_cast<std::int64_t>(static_cast<std::make_signed_t<T>>(r)));
  }
  template <typename T>
  void set_carries(T r, T carries) {
    set_result(r);
    carries_ = static_cast<std::uint64_t>(carries) << (64 - 8 * sizeof(T));
    extra_ = static_cast<std::uint32_t>(carries & 8) << 13;
  }

  std::uint64_t result_ = 1;   // sign-extended; ZF, SF and PF come from it
  std::uint64_t carries_ = 0;  // bit 63: carry out of the top bit (CF), bit 62: carry into it
  std::uint32_t extra_ = 0;    // what result_ alone cannot say
  std::uint64_t system_ = 0;   // the bits that are not arithmetic
};

}  // namespace ringside::soft
