// QEMU's packets that clients and scripts use: physical memory mode and what a step leaves out.
// QEMU manual, "GDB usage", "Advanced debugging options".
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {

Request parse_qemu(std::string_view payload) {
  if (payload == "qqemu.PhyMemMode") return QueryPhysicalMode{};
  // GDB's add-ons ask with the capital letter to find out whether this dialect is spoken.
  if (payload == "qqemu.sstepbits" || payload == "Qqemu.sstepbits") return QueryStepBits{};
  if (payload == "qqemu.sstep") return QueryStepMask{};
  Fields fields(payload);
  if (fields.take("Qqemu.PhyMemMode")) {
    if (!fields.take(':')) return Malformed{"Qqemu.PhyMemMode wants :0 or :1"};
    const auto mode = fields.hex();
    if (!mode || *mode > 1 || !fields.at_end()) return Malformed{"Qqemu.PhyMemMode wants :0 or :1"};
    return SetPhysicalMode{*mode == 1};
  }
  if (!fields.take("Qqemu.sstep") || fields.take("bits"))
    return Malformed{"the query takes no argument"};
  if (!fields.take('=')) return Malformed{"Qqemu.sstep wants =mask"};
  // People type it with 0x, as QEMU's manual does; the number is hex either way.
  fields.take("0x");
  const auto mask = fields.hex();
  if (!mask || !fields.at_end()) return Malformed{"Qqemu.sstep wants =mask"};
  return SetStepMask{*mask};
}

}  // namespace ringside::rsp
