#include "lockstep/fields.h"

#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "x86/linear_address.h"

namespace ringside::testing {
namespace {

constexpr std::uint64_t kAttributes = 0x00f0ff00;  // where a descriptor's upper half has them

std::vector<std::string> make_names() {
  std::vector<std::string> names = {"RAX", "RCX", "RDX", "RBX", "RSP",
                                    "RBP", "RSI", "RDI", "R8",  "R9"};
  for (int i = 10; i < 16; ++i)
    names.push_back("R" + std::to_string(i));
  for (const char* name : {"RIP", "RFL", "ES",  "CS",  "SS",   "DS",  "FS",  "GS",  "LDT",
                           "TR",  "GDT", "IDT", "CR0", "CR2",  "CR3", "CR4", "DR0", "DR1",
                           "DR2", "DR3", "DR6", "DR7", "EFER", "FCW", "FSW", "FTW", "MXCSR"})
    names.emplace_back(name);
  for (int i = 0; i < 8; ++i)
    names.push_back("FPR" + std::to_string(i));
  for (int i = 0; i < 16; ++i)
    names.push_back((i < 10 ? "XMM0" : "XMM") + std::to_string(i));
  return names;
}

const std::vector<std::string>& names() {
  static const std::vector<std::string> all = make_names();
  return all;
}

std::array<std::uint64_t, 4> segment_row(const x86::Segment& segment) {
  return {segment.selector, segment.base, segment.limit,
          std::uint64_t{segment.attributes} << 8 & kAttributes};
}

x86::Segment segment_of(const std::array<std::uint64_t, 4>& row) {
  x86::Segment segment;
  segment.selector = static_cast<std::uint16_t>(row[0]);
  segment.base = row[1];
  segment.limit = static_cast<std::uint32_t>(row[2]);
  segment.attributes = static_cast<std::uint16_t>((row[3] & kAttributes) >> 8);
  return segment;
}

unsigned top_of(const x86::FpuState& fpu) { return fpu.status >> 11 & 7; }

}  // namespace

std::string_view name_of(std::size_t row) { return names()[row]; }

std::optional<std::size_t> row_by_name(std::string_view name) {
  static const std::unordered_map<std::string_view, std::size_t> index = [] {
    std::unordered_map<std::string_view, std::size_t> map;
    static std::vector<std::string> other_names;
    other_names.reserve(10 + 16);
    for (std::size_t i = 0; i < names().size(); ++i) {
      map.emplace(names()[i], i);
      const bool is_vector = i >= row::kXmm;
      if (i >= 8 && i != row::kRip && i != row::kRflags && !is_vector) continue;
      other_names.push_back((is_vector ? "Y" : "E") + names()[i].substr(1));
      map.emplace(other_names.back(), i);
    }
    return map;
  }();
  const auto found = index.find(name);
  if (found == index.end()) return std::nullopt;
  return found->second;
}

Fields fields_of(const x86::CpuState& state) {
  Fields fields;
  auto& rows = fields.rows;
  for (std::size_t i = 0; i < 16; ++i)
    rows[row::kGpr + i][0] = state.gpr[i];
  rows[row::kRip][0] = state.rip;
  rows[row::kRflags][0] = state.rflags;
  for (std::size_t i = 0; i < 6; ++i)
    rows[row::kSegment + i] = segment_row(state.segment[i]);
  rows[row::kLdt] = segment_row(state.ldtr);
  rows[row::kTr] = segment_row(state.tr);
  rows[row::kGdt] = {state.gdtr.base, state.gdtr.limit, 0, 0};
  rows[row::kIdt] = {state.idtr.base, state.idtr.limit, 0, 0};
  rows[row::kCr0][0] = state.cr0;
  rows[row::kCr2][0] = state.cr2;
  rows[row::kCr3][0] = state.cr3;
  rows[row::kCr4][0] = state.cr4;
  for (std::size_t i = 0; i < 4; ++i)
    rows[row::kDr0 + i][0] = state.dr[i];
  rows[row::kDr6][0] = state.dr6;
  rows[row::kDr7][0] = state.dr7;
  rows[row::kEfer][0] = state.efer;
  rows[row::kFpuControl][0] = state.fpu.control;
  rows[row::kFpuStatus][0] = state.fpu.status;
  rows[row::kMxcsr][0] = state.fpu.mxcsr;
  for (unsigned i = 0; i < 8; ++i) {
    if ((state.fpu.tag >> 2 * i & 3) != 3) rows[row::kFpuTags][0] |= 1u << i;
    const x86::X87Register& st = state.fpu.st[(i - top_of(state.fpu)) & 7];
    std::memcpy(&rows[row::kFpr + i][0], st.data(), 8);
    std::memcpy(&rows[row::kFpr + i][1], st.data() + 8, 2);
  }
  for (std::size_t i = 0; i < 16; ++i) {
    std::memcpy(&rows[row::kXmm + i][1], state.fpu.vector[i].data(), 8);
    std::memcpy(&rows[row::kXmm + i][0], state.fpu.vector[i].data() + 8, 8);
    std::memcpy(&rows[row::kXmm + i][3], state.fpu.vector[i].data() + 16, 8);
    std::memcpy(&rows[row::kXmm + i][2], state.fpu.vector[i].data() + 24, 8);
  }
  fields.wide = x86::in_64_bit_mode(state);
  return fields;
}

void copy_row(const Fields& from, std::size_t row, x86::CpuState& to) {
  const auto& values = from.rows[row];
  if (row < row::kRip) {
    to.gpr[row] = values[0];
  } else if (row >= row::kSegment && row < row::kLdt) {
    to.segment[row - row::kSegment] = segment_of(values);
  } else if (row >= row::kDr0 && row < row::kDr6) {
    to.dr[row - row::kDr0] = values[0];
  } else if (row >= row::kFpr && row < row::kXmm) {
    x86::X87Register& st = to.fpu.st[(row - row::kFpr - top_of(to.fpu)) & 7];
    std::memcpy(st.data(), &values[0], 8);
    std::memcpy(st.data() + 8, &values[1], 2);
  } else if (row >= row::kXmm) {
    x86::VectorRegister& xmm = to.fpu.vector[row - row::kXmm];
    std::memcpy(xmm.data(), &values[1], 8);
    std::memcpy(xmm.data() + 8, &values[0], 8);
    std::memcpy(xmm.data() + 16, &values[3], 8);
    std::memcpy(xmm.data() + 24, &values[2], 8);
  } else {
    switch (row) {
      case row::kRip:
        to.rip = values[0];
        break;
      case row::kRflags:
        to.rflags = values[0];
        break;
      case row::kLdt:
        to.ldtr = segment_of(values);
        break;
      case row::kTr:
        to.tr = segment_of(values);
        break;
      case row::kGdt:
        to.gdtr = {values[0], static_cast<std::uint16_t>(values[1])};
        break;
      case row::kIdt:
        to.idtr = {values[0], static_cast<std::uint16_t>(values[1])};
        break;
      case row::kCr0:
        to.cr0 = values[0];
        break;
      case row::kCr2:
        to.cr2 = values[0];
        break;
      case row::kCr3:
        to.cr3 = values[0];
        break;
      case row::kCr4:
        to.cr4 = values[0];
        break;
      case row::kDr6:
        to.dr6 = values[0];
        break;
      case row::kDr7:
        to.dr7 = values[0];
        break;
      case row::kEfer:
        to.efer = values[0];
        break;
      case row::kFpuControl:
        to.fpu.control = static_cast<std::uint16_t>(values[0]);
        break;
      case row::kFpuStatus:
        to.fpu.status = static_cast<std::uint16_t>(values[0]);
        break;
      case row::kFpuTags:
        for (unsigned i = 0; i < 8; ++i) {
          if ((values[0] >> i & 1) == 0) to.fpu.tag |= static_cast<std::uint16_t>(3u << 2 * i);
        }
        break;
      default:
        to.fpu.mxcsr = static_cast<std::uint32_t>(values[0]);
        break;
    }
  }
}

bool same(const Fields& a, const Fields& b, std::size_t row) {
  const auto &x = a.rows[row], &y = b.rows[row];
  const bool upper_half = (row >= row::kGpr + 8 && row < row::kRip) || row >= row::kXmm + 8;
  if (upper_half && !(a.wide && b.wide)) return true;
  if (row == row::kRip || row < row::kRip) {
    const std::uint64_t mask = a.wide || b.wide ? ~std::uint64_t{0} : 0xffffffff;
    return (x[0] & mask) == (y[0] & mask);
  }
  if (row >= row::kSegment && row <= row::kTr) {
    if (x[0] != y[0]) return false;
    // A null selector hides nothing but the base that MSRs may have given FS and GS.
    if ((x[0] & ~std::uint64_t{3}) == 0 && (a.rows[row::kCr0][0] & x86::cr0::PE) != 0)
      return row < row::kSegment + 4 || row >= row::kLdt || x[1] == y[1];
    // QEMU shows a task's descriptor as it was before LTR marked it busy.
    const std::uint64_t mask = row == row::kTr ? kAttributes & ~std::uint64_t{0x200} : kAttributes;
    return x[1] == y[1] && x[2] == y[2] && (x[3] & mask) == (y[3] & mask);
  }
  return x == y;
}

}  // namespace ringside::testing
