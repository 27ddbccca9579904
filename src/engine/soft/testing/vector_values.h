// Random operands for vector and x87 instructions in which the special values of each format are
// well represented: zeros, denormals, infinities, NaNs, ties, the limits of the integers. Header
// only, for tests.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>

namespace ringside::soft::testing {

enum class Data : std::uint8_t { Integers, Singles, Doubles, Strings, Extended };

class VectorValues {
 public:
  using Random = std::mt19937_64;
  explicit VectorValues(Random& random) : random_(random) {}

  std::uint64_t bits() { return random_(); }
  bool one_in(unsigned n) { return random_() % n == 0; }

  std::uint32_t single() {
    static constexpr std::uint32_t kSpecial[] = {
        0x00000000, 0x3f800000, 0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff,
        0x7f800000, 0x7f800001, 0x7fc00000, 0x7fffffff, 0x3f000000, 0x3fc00000,
        0x40200000, 0x4b000001, 0x4f000000, 0x4effffff, 0x5f000000, 0x34000000,
        0x33800000, 0x1a000000, 0x00400000, 0x0b800000, 0x1fc00000};
    const auto sign = static_cast<std::uint32_t>(bits() & 1) << 31;
    if (one_in(2)) return kSpecial[bits() % std::size(kSpecial)] | sign;
    if (one_in(3)) return static_cast<std::uint32_t>(bits());
    // A small exponent, few significant bits: exact results and ties.
    const auto exponent = static_cast<std::uint32_t>(120 + bits() % 20) << 23;
    return sign | exponent | static_cast<std::uint32_t>(bits() & 0x7ff000);
  }

  std::uint64_t double_() {
    static constexpr std::uint64_t kSpecial[] = {
        0x0000000000000000, 0x3ff0000000000000, 0x0000000000000001, 0x000fffffffffffff,
        0x0010000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001,
        0x7ff8000000000000, 0x7fffffffffffffff, 0x3fe0000000000000, 0x3ff8000000000000,
        0x4004000000000000, 0x41dfffffffc00000, 0x41e0000000000000, 0x43e0000000000000,
        0x43dfffffffffffff, 0x3810000000000000, 0x36a0000000000000, 0x47efffffe0000000,
        0x47f0000000000000, 0x380fffffe0000000, 0x3690000000000000, 0x1ff8000000000000,
        0x41dfffffffe00000, 0x3ff0000010000000};
    const std::uint64_t sign = bits() << 63;
    if (one_in(2)) return kSpecial[bits() % std::size(kSpecial)] | sign;
    if (one_in(3)) return bits();
    const std::uint64_t exponent = (1016 + bits() % 40) << 52;
    return sign | exponent | (bits() & 0xfffff00000000);
  }

  // An x87 value in the first ten bytes.
  std::array<std::uint8_t, 16> extended() {
    static constexpr std::uint64_t kSignificands[] = {
        0x8000000000000000, 0xc000000000000000, 0xffffffffffffffff, 0x8000000000000001,
        0xa000000000000000, 0x0000000000000001, 0x4000000000000000, 0x0000000000000000,
        0x7fffffffffffffff, 0xfffff80000000000, 0xffffff0000000000, 0x8000000000000400,
        0x8000008000000000, 0xd413cccfe7799211, 0xfffffffffffff800, 0xc90fdaa22168c235};
    static constexpr std::uint16_t kExponents[] = {0,      1,      0x7ffe, 0x7fff, 0x3fff, 0x3ffe,
                                                   0x4000, 0x401e, 0x401d, 0x403e, 0x403d, 0x3fbf,
                                                   0x400e, 0x400d, 0x3c01, 0x3c00, 0x43fe, 0x43ff,
                                                   0x3f81, 0x407e, 0x3bcd, 0x4041, 0x403a, 0x3f6a};
    std::uint64_t significand = one_in(2) ? kSignificands[bits() % std::size(kSignificands)]
                                          : bits() | std::uint64_t{1} << 63;
    if (one_in(4)) significand &= ~std::uint64_t{0} << (bits() % 64);
    auto exponent = static_cast<std::uint16_t>(0x3ff0 + bits() % 64);
    if (one_in(2)) exponent = kExponents[bits() % std::size(kExponents)];
    if (one_in(16)) exponent = static_cast<std::uint16_t>(bits() & 0x7fff);
    // Zero, and normal numbers, more often than chance has them.
    if (one_in(12)) {
      significand = 0;
      exponent = 0;
    } else if (exponent != 0 && !one_in(10)) {
      significand |= std::uint64_t{1} << 63;
    }
    exponent = static_cast<std::uint16_t>(exponent | (bits() & 1) << 15);
    std::array<std::uint8_t, 16> value{};
    std::memcpy(value.data(), &significand, 8);
    std::memcpy(value.data() + 8, &exponent, 2);
    return value;
  }

  std::array<std::uint8_t, 16> vector(Data data) {
    std::array<std::uint8_t, 16> value;
    const auto fill = [&](auto next) {
      using T = decltype(next());
      for (unsigned i = 0; i < 16; i += sizeof(T)) {
        const T element = next();
        std::memcpy(value.data() + i, &element, sizeof(T));
      }
    };
    switch (data) {
      case Data::Singles:
        fill([&] { return single(); });
        break;
      case Data::Doubles:
        fill([&] { return double_(); });
        break;
      case Data::Strings:
        fill([&] {
          return static_cast<std::uint8_t>(one_in(12) ? 0 : one_in(10) ? bits() : 'a' + bits() % 4);
        });
        break;
      default: {
        const bool small = one_in(3);
        fill([&] {
          static constexpr std::uint8_t kEdges[] = {0, 1, 0x7f, 0x80, 0x81, 0xff, 0xfe, 0x40};
          if (one_in(3)) return kEdges[bits() % std::size(kEdges)];
          return static_cast<std::uint8_t>(small ? bits() & 3 : bits());
        });
        // A count that shifts by less than the width, now and then.
        if (one_in(3)) {
          value = {};
          value[0] = static_cast<std::uint8_t>(bits() % 72);
        }
      }
    }
    return value;
  }

  // What may lie in memory for an instruction on `data`.
  std::array<std::uint8_t, 16> in_memory(Data data) {
    if (data != Data::Extended) return vector(data);
    if (one_in(3)) return extended();
    return vector(one_in(3) ? Data::Singles : one_in(2) ? Data::Doubles : Data::Integers);
  }

 private:
  Random& random_;
};

}  // namespace ringside::soft::testing
