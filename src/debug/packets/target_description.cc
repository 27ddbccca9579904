#include "debug/packets/target_description.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/xml.h"
#include "ringside/x86/registers.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

using x86::RegisterGroup;

// The features that stock GDB looks for, with the registers that it wants to find in them (GDB
// manual, "i386 Features"); the system registers are in one of our own, under the names that QEMU
// gave them, which scripts know.
struct Feature {
  std::string_view name;
  std::initializer_list<RegisterGroup> groups;
};
const Feature kFeatures[] = {
    {"org.gnu.gdb.i386.core", {RegisterGroup::General, RegisterGroup::X87}},
    {"org.gnu.gdb.i386.sse", {RegisterGroup::Sse}},
    {"org.gnu.gdb.i386.avx", {RegisterGroup::Avx}},
    {"org.gnu.gdb.i386.pkeys", {RegisterGroup::ProtectionKeys}},
    {"org.gnu.gdb.i386.segments", {RegisterGroup::Segments}},
    {"org.ringside.x86.system", {RegisterGroup::System}},
};

// Types beyond GDB's predefined ones. Single bits as name and number, in one string.
struct Flags {
  std::string_view id;
  unsigned size;
  std::initializer_list<std::pair<std::string_view, unsigned>> bits;
};
const Flags kFlags[] = {
    {"x64_eflags",
     4,
     {{"CF", 0},
      {"", 1},
      {"PF", 2},
      {"AF", 4},
      {"ZF", 6},
      {"SF", 7},
      {"TF", 8},
      {"IF", 9},
      {"DF", 10},
      {"OF", 11},
      {"NT", 14},
      {"RF", 16},
      {"VM", 17},
      {"AC", 18},
      {"VIF", 19},
      {"VIP", 20},
      {"ID", 21}}},
    {"x64_mxcsr",
     4,
     {{"IE", 0},
      {"DE", 1},
      {"ZE", 2},
      {"OE", 3},
      {"UE", 4},
      {"PE", 5},
      {"DAZ", 6},
      {"IM", 7},
      {"DM", 8},
      {"ZM", 9},
      {"OM", 10},
      {"UM", 11},
      {"PM", 12},
      {"FZ", 15}}},
    {"x64_cr0",
     8,
     {{"PE", 0},
      {"MP", 1},
      {"EM", 2},
      {"TS", 3},
      {"ET", 4},
      {"NE", 5},
      {"WP", 16},
      {"AM", 18},
      {"NW", 29},
      {"CD", 30},
      {"PG", 31}}},
    {"x64_cr4", 8, {{"VME", 0},         {"PVI", 1},    {"TSD", 2},      {"DE", 3},    {"PSE", 4},
                    {"PAE", 5},         {"MCE", 6},    {"PGE", 7},      {"PCE", 8},   {"OSFXSR", 9},
                    {"OSXMMEXCPT", 10}, {"UMIP", 11},  {"LA57", 12},    {"VMXE", 13}, {"SMXE", 14},
                    {"FSGSBASE", 16},   {"PCIDE", 17}, {"OSXSAVE", 18}, {"SMEP", 20}, {"SMAP", 21},
                    {"PKE", 22}}},
    {"x64_efer", 8, {{"SCE", 0}, {"LME", 8}, {"LMA", 10}, {"NXE", 11}, {"SVME", 12}}},
};

constexpr std::string_view kVec128 =
    R"(<vector id="v4f" type="ieee_single" count="4"/>
<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/>
<vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/>
<vector id="v2i64" type="int64" count="2"/>
<union id="vec128">
<field name="v4_float" type="v4f"/>
<field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/>
<field name="v8_int16" type="v8i16"/>
<field name="v4_int32" type="v4i32"/>
<field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/>
</union>
)";

void append_type(std::string& xml, std::string_view type) {
  if (type == "vec128") xml += kVec128;
  for (const Flags& flags : kFlags) {
    if (flags.id != type) continue;
    xml += fmt::format("<flags id=\"{}\" size=\"{}\">\n", flags.id, flags.size);
    for (const auto& [name, bit] : flags.bits)
      xml += fmt::format("<field name=\"{}\" start=\"{}\" end=\"{}\"/>\n", name, bit, bit);
    xml += "</flags>\n";
  }
}

void append_feature(std::string& xml, const Feature& feature) {
  std::string types;
  std::string registers;
  std::set<std::string_view> known;  // a type is defined in each feature that uses it
  for (std::size_t i = 0; i < x86::kRegisterCount; ++i) {
    const x86::RegisterInfo& info = x86::kRegisters[i];
    if (std::find(feature.groups.begin(), feature.groups.end(), info.group) ==
        feature.groups.end()) {
      continue;
    }
    if (known.insert(info.type).second) append_type(types, info.type);
    registers += fmt::format("<reg name=\"{}\" bitsize=\"{}\" type=\"{}\" regnum=\"{}\"{}/>\n",
                             info.name, info.bits, info.type, i,
                             info.group == RegisterGroup::System ? " group=\"system\"" : "");
  }
  xml += fmt::format("<feature name=\"{}\">\n{}{}</feature>\n", feature.name, types, registers);
}

void append_extra(std::string& xml, std::span<const hypervisor::ExtraRegister> extra) {
  if (extra.empty()) return;
  xml += "<feature name=\"org.ringside.extra\">\n";
  for (std::size_t i = 0; i < extra.size(); ++i) {
    xml += fmt::format(
        "<reg name=\"{}\" bitsize=\"{}\" type=\"{}\" regnum=\"{}\" group=\"extra\"/>\n",
        xml_text(extra[i].name), extra[i].bits, xml_text(extra[i].type), x86::kRegisterCount + i);
  }
  xml += "</feature>\n";
}

}  // namespace

std::string target_description(std::span<const hypervisor::ExtraRegister> extra) {
  std::string xml =
      "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
      "<target>\n<architecture>i386:x86-64</architecture>\n";
  for (const Feature& feature : kFeatures)
    append_feature(xml, feature);
  append_extra(xml, extra);
  return xml + "</target>\n";
}

}  // namespace ringside::debug
