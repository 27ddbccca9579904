// Gathers (SDM 2D, VGATHERDPS and the like): elements from addresses of which each has an index of
// its own. An element whose mask has its sign bit set is loaded, and its mask cleared; so what was
// loaded before a fault stays, and the instruction goes on where it was.
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

using std::uint64_t;

template <typename T>
using Elements = std::array<T, 2 * kLanes<T, Xmm>>;  // of 256 bits

template <typename T>
T element(const Cpu& cpu, unsigned number, unsigned i) {
  return std::bit_cast<Elements<T>>(get_wide<2>(cpu, number))[i];
}
template <typename T>
void set_element(Cpu& cpu, unsigned number, unsigned i, T value) {
  auto all = std::bit_cast<Elements<T>>(get_wide<2>(cpu, number));
  all[i] = value;
  set_wide(cpu, number, std::bit_cast<Wide<2>>(all));
}

// Index and data may be of different widths: the wider one says how many elements there are. Above
// those, destination and mask become zero.
template <typename Index, typename T, std::size_t kCount>
void gather(Cpu& cpu, const Insn& insn) {
  check_avx(cpu);
  constexpr unsigned kElements =
      16 * kCount / (sizeof(T) > sizeof(Index) ? sizeof(T) : sizeof(Index));
  const unsigned mask = insn.extra;
  for (unsigned i = 0; i < kElements; ++i) {
    using Signed = std::make_signed_t<T>;
    if (static_cast<Signed>(element<T>(cpu, mask, i)) < 0) {
      const auto index =
          std::int64_t{static_cast<std::make_signed_t<Index>>(element<Index>(cpu, insn.index, i))};
      const uint64_t offset = (cpu.gpr[insn.base] + (static_cast<uint64_t>(index) << insn.scale) +
                               static_cast<uint64_t>(std::int64_t{insn.displacement})) &
                              Cpu::kWidthMask[static_cast<unsigned>(insn.address_width)];
      const uint64_t linear = cpu.segmented(insn.segment, offset, sizeof(T), AccessKind::Read);
      set_element(cpu, insn.reg, i, cpu.load<T>(linear));
    }
    set_element(cpu, mask, i, T{0});
  }
  constexpr unsigned kWritten = kElements * sizeof(T);
  Wide<2> result = get_wide<2>(cpu, insn.reg);
  std::memset(reinterpret_cast<std::uint8_t*>(&result) + kWritten, 0, sizeof result - kWritten);
  set_wide(cpu, insn.reg, result);
  set_wide(cpu, mask, Wide<2>{});
}

template <typename Index, typename T>
bool lower_gather(const Decoded& decoded, Insn& insn) {
  if (decoded.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX) return false;
  lower_vex_operands(decoded, insn);
  insn.execute = decoded.insn.avx.vector_length == 256 ? gather<Index, T, 2> : gather<Index, T, 1>;
  return true;
}

}  // namespace

void register_avx_gathers(LowerTable& table) {
  using Narrow = std::uint32_t;
  using Broad = std::uint64_t;
  table.add({ZYDIS_MNEMONIC_VPGATHERDD, ZYDIS_MNEMONIC_VGATHERDPS}, lower_gather<Narrow, Narrow>);
  table.add({ZYDIS_MNEMONIC_VPGATHERDQ, ZYDIS_MNEMONIC_VGATHERDPD}, lower_gather<Narrow, Broad>);
  table.add({ZYDIS_MNEMONIC_VPGATHERQD, ZYDIS_MNEMONIC_VGATHERQPS}, lower_gather<Broad, Narrow>);
  table.add({ZYDIS_MNEMONIC_VPGATHERQQ, ZYDIS_MNEMONIC_VGATHERQPD}, lower_gather<Broad, Broad>);
}

}  // namespace ringside::soft
