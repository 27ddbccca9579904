// The other way round: what the decoder refuses, so that the software CPU raises #UD, the host's
// processor refuses as well. (Forms that the decoder knows are coverage_test.cc's.)
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "differential/matches_the_host.h"
#include "differential/native_cpu.h"
#include "differential/soft_cpu.h"

namespace ringside::differential {
namespace {

constexpr unsigned kInvalidOpcode = 6;

struct Bytes {
  std::uint8_t prefix, map, opcode, modrm;  // prefix 0: none; map 0 to 3
  std::vector<std::uint8_t> all() const {
    std::vector<std::uint8_t> bytes;
    if (prefix != 0) bytes.push_back(prefix);
    if (map != 0) bytes.push_back(0x0f);
    if (map == 2) bytes.push_back(0x38);
    if (map == 3) bytes.push_back(0x3a);
    bytes.push_back(opcode);
    bytes.push_back(modrm);
    bytes.resize(15, 0x90);
    return bytes;
  }
  // Another map, another encoding or another prefix begins here.
  bool is_escape(Mode mode) const {
    if (map == 1) return opcode == 0x0f || opcode == 0x38 || opcode == 0x3a;
    if (map != 0) return false;
    switch (opcode) {
      case 0x0f:
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
      case 0x62:
      case 0x64:
      case 0x65:
      case 0x66:
      case 0x67:
      case 0x8f:
      case 0xc4:
      case 0xc5:
      case 0xf0:
      case 0xf2:
      case 0xf3:
        return true;
      default:
        return mode == Mode::Code64 && (opcode & 0xf0) == 0x40;
    }
  }
  // Processors take these where the manual has #UD, or have got them since.
  bool is_known() const {
    const unsigned reg = modrm >> 3 & 7;
    if (map == 1 && prefix == 0xf0 && (opcode == 0x20 || opcode == 0x22)) return true;  // AMD: CR8
    if (map == 1 && prefix == 0xf0 && opcode == 0x00 && reg == 5) return true;          // LOCK VERW
    if (map == 1 && opcode == 0x01 && modrm >= 0xc0) return true;  // VMCALL, WRMSRNS, ERETU, …
    return map == 2 && (opcode == 0xfc || opcode == 0xf8);         // RAO-INT, URDMSR
  }
};

void expect_refused(Mode mode, const Bytes& bytes, SoftCpu& soft, unsigned& tried) {
  Encoding encoding;
  if (bytes.is_escape(mode) || bytes.is_known() || decode_encoding(mode, bytes.all(), encoding))
    return;
  Case test;
  test.mode = mode;
  test.bytes = bytes.all();
  test.branches = true;  // one instruction
  test.state.rip = kCode - code_base(mode);
  test.state.gpr.fill(kData + kPageSize / 2 - data_base(mode));
  ++tried;
  const auto refuses = [](const Outcome& outcome) {
    return outcome.fault && outcome.fault->vector == kInvalidOpcode;
  };
  // A hypervisor under the host may emulate it once in a while: what counts comes again.
  EXPECT_TRUE(refuses(NativeCpu::run(test)) || refuses(NativeCpu::run(test)))
      << name(mode) << " " << hex(test.bytes) << ": the host takes it";
  EXPECT_TRUE(refuses(soft.run(test)))
      << name(mode) << " " << hex(test.bytes) << ": the software CPU takes it";
}

class Refused : public testing::TestWithParam<Mode> {};

// Some of all that there are; all with RINGSIDE_DIFFERENTIAL=8.
TEST_P(Refused, ByTheHostToo) {
  if (const auto reason = NativeCpu::start()) GTEST_SKIP() << *reason;
  const Mode mode = GetParam();
  if (const auto reason = NativeCpu::lacks(mode)) GTEST_SKIP() << *reason;
  SoftCpu soft;
  Random random(1);
  unsigned tried = 0;
  for (unsigned each = 0; each < 4u << 16; ++each) {
    const auto map = static_cast<std::uint8_t>(each >> 16),
               opcode = static_cast<std::uint8_t>(each >> 8),
               modrm = static_cast<std::uint8_t>(each);
    if (modrm < 0xc0 && (modrm & 0xc7) != 7) continue;  // memory: once for each reg field
    for (const std::uint8_t prefix : {0x00, 0x66, 0xf2, 0xf3, 0x48, 0xf0}) {
      if ((prefix == 0x48 && mode != Mode::Code64) || random() % 8 >= effort()) continue;
      expect_refused(mode, {prefix, map, opcode, modrm}, soft, tried);
    }
  }
  fmt::print("{}: {} refused encodings\n", name(mode), tried);
  EXPECT_GT(tried, 10000u);
}

INSTANTIATE_TEST_SUITE_P(Modes, Refused, testing::Values(Mode::Code64, Mode::Code32, Mode::Code16),
                         mode_name);

}  // namespace
}  // namespace ringside::differential
