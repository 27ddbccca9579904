// XSAVE and its relatives: areas as the manual has them, in each form, and what is refused.
#include <gtest/gtest.h>

#include <cstring>
#include <tuple>

#include "engine/soft/cpu/control.h"
#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/state/xstate.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using namespace testing;
using Mode = TestCpu::Mode;
using x86::Gpr;

constexpr std::string_view kXsave = "0f ae 27", kXrstor = "0f ae 2f", kXsaveopt = "0f ae 37",
                           kXsavec = "0f c7 27", kXgetbv = "0f 01 d0", kXsetbv = "0f 01 d1";
constexpr int kInvalid = 6, kNotAvailable = 7, kStackFault = 12, kProtection = 13, kPageFault = 14,
              kNone = -1;
constexpr unsigned kBitmap = 512, kCompactBitmap = 520, kYmm = 576;
constexpr std::uint64_t kCompacted = std::uint64_t{1} << 63;

class Xsave : public ::testing::Test {
 protected:
  Xsave() {
    cpu_.board().processor = Processor::V3;
    x86::CpuState s = cpu_->state();
    s.cr4 |= x86::cr4::OSFXSR | x86::cr4::OSXSAVE;
    s.xcr0 = xstate::kAll;
    s.reg(Gpr::Rdi) = at::kData;
    s.reg(Gpr::Rax) = xstate::kAll;
    s.reg(Gpr::Rdx) = 0;
    for (std::size_t i = 0; i < 16; ++i)
      s.fpu.vector[i].fill(static_cast<std::uint8_t>(i + 1));
    s.fpu.control = 0x27f;
    s.fpu.mxcsr = 0x1fa0;
    s.pkru = 0x55555554;
    cpu_->set_state(s);
    std::memset(cpu_.host(at::kData), 0xee, kPageSize);
  }
  // Runs it anew; the vector at which it arrived.
  int run(std::string_view code) {
    cpu_.run(code);
    return cpu_.arrived();
  }
  template <typename T>
  T at(unsigned offset) {
    return cpu_.get<T>(at::kData + offset);
  }
  void clear_header() { std::memset(cpu_.host(at::kData) + kBitmap, 0, 64); }
  std::array<std::uint8_t, 32> ymm(unsigned number) { return cpu_->state().fpu.vector[number]; }

  TestCpu cpu_{Mode::Long64};
};

TEST_F(Xsave, WritesWhatIsWanted) {
  clear_header();
  ASSERT_EQ(run(kXsave), kNone);
  EXPECT_EQ(at<std::uint16_t>(0), 0x27f);
  EXPECT_EQ(at<std::uint32_t>(24), 0x1fa0u);
  EXPECT_EQ(at<std::uint8_t>(160 + 16 * 15), 16);
  EXPECT_EQ(at<std::uint8_t>(kYmm + 16 * 15), 16);
  EXPECT_EQ(at<std::uint64_t>(kBitmap), xstate::kAll);
  EXPECT_EQ(at<std::uint64_t>(kCompactBitmap), 0u);
  EXPECT_EQ(at<std::uint8_t>(416), 0xee);  // nobody's
}

TEST_F(Xsave, LeavesTheRestAlone) {
  clear_header();
  cpu_.put<std::uint64_t>(at::kData + kBitmap, xstate::kX87);
  cpu_->reg(Gpr::Rax) = xstate::kAvx;
  ASSERT_EQ(run(kXsave), kNone);
  EXPECT_EQ(at<std::uint8_t>(0), 0xee);
  EXPECT_EQ(at<std::uint32_t>(24), 0x1fa0u);  // MXCSR comes with AVX
  EXPECT_EQ(at<std::uint8_t>(160), 0xee);
  EXPECT_EQ(at<std::uint8_t>(kYmm), 1);
  EXPECT_EQ(at<std::uint64_t>(kBitmap), xstate::kX87 | xstate::kAvx);
}

TEST_F(Xsave, OptimisedAndCompactedLeaveOutWhatIsAsAfterReset) {
  x86::CpuState s = cpu_->state();
  s.fpu = {};
  s.fpu.vector[3][0] = 9;  // of XMM3
  s.pkru = 0;
  for (const std::string_view code : {kXsaveopt, kXsavec}) {
    cpu_->set_state(s);
    std::memset(cpu_.host(at::kData), 0xee, kPageSize);
    clear_header();
    ASSERT_EQ(run(code), kNone);
    EXPECT_EQ(at<std::uint8_t>(0), 0xee);
    EXPECT_EQ(at<std::uint8_t>(160 + 16 * 3), 9);
    EXPECT_EQ(at<std::uint8_t>(kYmm), 0xee);
    EXPECT_EQ(at<std::uint64_t>(kBitmap), xstate::kSse);
    EXPECT_EQ(at<std::uint64_t>(kCompactBitmap), code == kXsavec ? xstate::kAll | kCompacted : 0);
  }
}

TEST_F(Xsave, RestoresWhatItHasSavedInEachForm) {
  for (const std::string_view code : {kXsave, kXsaveopt, kXsavec}) {
    const x86::CpuState before = cpu_->state();
    clear_header();
    ASSERT_EQ(run(code), kNone);
    x86::CpuState other = cpu_->state();
    other.fpu = {};
    cpu_->set_state(other);
    ASSERT_EQ(run(kXrstor), kNone);
    const x86::CpuState after = cpu_->state();
    EXPECT_EQ(after.fpu.vector, before.fpu.vector) << code;
    EXPECT_EQ(after.fpu.control, before.fpu.control) << code;
    EXPECT_EQ(after.fpu.mxcsr, before.fpu.mxcsr) << code;
  }
}

TEST_F(Xsave, HasPkruAtItsPlaceInEachForm) {
  struct Case {
    std::string_view code;
    std::uint64_t wanted;
    unsigned place;
  };
  for (const Case& one : {Case{kXsave, xstate::kAll, 2688}, Case{kXsave, xstate::kPkru, 2688},
                          Case{kXsaveopt, xstate::kPkru, 2688}, Case{kXsavec, xstate::kAll, 832},
                          Case{kXsavec, xstate::kPkru, 576}}) {
    std::memset(cpu_.host(at::kData), 0xee, kPageSize);
    clear_header();
    cpu_->reg(Gpr::Rax) = one.wanted;
    cpu_->set_pkru(0x12345678);
    ASSERT_EQ(run(one.code), kNone);
    EXPECT_EQ(at<std::uint64_t>(one.place), 0x12345678u) << one.place;
    EXPECT_EQ(at<std::uint8_t>(one.place + 8), 0xee);
    EXPECT_EQ(at<std::uint64_t>(kBitmap) & xstate::kPkru, xstate::kPkru);
    cpu_->set_pkru(1);
    cpu_.put<std::uint32_t>(at::kData + one.place + 4, ~0u);  // nobody's
    ASSERT_EQ(run(kXrstor), kNone);
    EXPECT_EQ(cpu_->pkru, 0x12345678u) << one.place;
    cpu_.put<std::uint64_t>(at::kData + kBitmap, 0);
    cpu_.put<std::uint32_t>(at::kData + 24, 0x1f80);
    ASSERT_EQ(run(kXrstor), kNone);
    EXPECT_EQ(cpu_->pkru, 0u);
  }
  cpu_->reg(Gpr::Rax) = xstate::kSse;
  cpu_->set_pkru(7);
  ASSERT_EQ(run(kXrstor), kNone);
  EXPECT_EQ(cpu_->pkru, 7u) << "it was not wanted";
}

TEST_F(Xsave, ZeroIsPkruAfterReset) {
  cpu_->reg(Gpr::Rax) = xstate::kPkru;
  cpu_->reg(Gpr::Rcx) = 1;
  for (const std::uint32_t pkru : {0u, 4u}) {
    const std::uint64_t in_use = pkru == 0 ? 0 : xstate::kPkru;
    std::memset(cpu_.host(at::kData), 0xee, kPageSize);
    clear_header();
    cpu_->set_pkru(pkru);
    cpu_->reg(Gpr::Rax) = xstate::kPkru;
    ASSERT_EQ(run(kXsaveopt), kNone);
    EXPECT_EQ(at<std::uint64_t>(kBitmap), in_use);
    EXPECT_EQ(at<std::uint8_t>(2688), in_use == 0 ? 0xee : 4);
    ASSERT_EQ(run(kXgetbv), kNone);
    EXPECT_EQ(cpu_.rax() & xstate::kPkru, in_use);
  }
}

TEST_F(Xsave, CpuidTellsSizesAndPlaces) {
  const CpuidLeaf whole = cpuid(*cpu_, 0xd, 0), one = cpuid(*cpu_, 0xd, 1);
  EXPECT_EQ(whole.eax, 0x207u);
  EXPECT_EQ(whole.ebx, 2696u);
  EXPECT_EQ(whole.ecx, 2696u);
  EXPECT_EQ(one.ebx, 840u);
  const CpuidLeaf pkru = cpuid(*cpu_, 0xd, 9);
  EXPECT_EQ(pkru.eax, 8u);
  EXPECT_EQ(pkru.ebx, 2688u);
  EXPECT_EQ(pkru.ecx, 0u);
  EXPECT_EQ(pkru.edx, 0u);
  for (const auto& [xcr0, standard, compacted] :
       {std::tuple{1u, 576u, 576u}, {7u, 832u, 832u}, {0x203u, 2696u, 584u}}) {
    cpu_->xcr0 = xcr0;
    EXPECT_EQ(cpuid(*cpu_, 0xd, 0).ebx, standard);
    EXPECT_EQ(cpuid(*cpu_, 0xd, 0).ecx, 2696u);
    EXPECT_EQ(cpuid(*cpu_, 0xd, 1).ebx, compacted);
  }
}

TEST_F(Xsave, RestoresToWhatIsAfterResetWhereNothingIsSaved) {
  clear_header();
  cpu_.put<std::uint32_t>(at::kData + 24, 0x1f80);
  cpu_->reg(Gpr::Rax) = xstate::kX87 | xstate::kAvx;
  ASSERT_EQ(run(kXrstor), kNone);
  EXPECT_EQ(cpu_->state().fpu.control, 0x37f);
  EXPECT_EQ(ymm(2)[0], 3);  // SSE was not wanted
  EXPECT_EQ(ymm(2)[16], 0);
  EXPECT_EQ(cpu_->state().fpu.mxcsr, 0x1f80u);
}

TEST_F(Xsave, RefusesBadAreas) {
  const auto restored = [&](unsigned offset, std::uint64_t value) {
    clear_header();
    cpu_.put<std::uint32_t>(at::kData + 24, 0x1f80);
    cpu_.put<std::uint64_t>(at::kData + offset, value);
    return run(kXrstor);
  };
  EXPECT_EQ(restored(kBitmap, 0), kNone);
  EXPECT_EQ(restored(kBitmap, 8), kProtection);         // no such component
  EXPECT_EQ(restored(kCompactBitmap, 1), kProtection);  // reserved in the standard form
  EXPECT_EQ(restored(kCompactBitmap + 8, 1), kProtection);
  EXPECT_EQ(restored(kCompactBitmap + 16, 1), kNone);
  EXPECT_EQ(restored(kCompactBitmap, kCompacted | 8), kProtection);
  EXPECT_EQ(restored(24, 0x10000), kProtection);  // MXCSR
  cpu_->reg(Gpr::Rdi) = at::kData + 32;
  EXPECT_EQ(run(kXsave), kProtection);  // not aligned
}

// Where PKRU is in the compacted form, the area's places say, and not what is loaded.
TEST(XsaveInASegment, HasAllThatIsReadOrWritten) {
  struct Case {
    std::string_view code;
    std::uint64_t wanted, present, compacted;
    std::uint32_t end;
  };
  constexpr std::uint64_t kAvx = xstate::kAvx, kPkru = xstate::kPkru;
  for (const Case& one : {Case{kXsave, kPkru, 0, 0, 2696},
                          {kXsave, kAvx, 0, 0, 832},
                          {kXsavec, kPkru, 0, 0, 584},
                          {kXsavec, kAvx | kPkru, 0, 0, 840},
                          {kXrstor, kPkru, kPkru, 0, 2696},
                          {kXrstor, kPkru, kAvx, 0, 576},
                          {kXrstor, kPkru, kPkru, kCompacted | kPkru, 584},
                          {kXrstor, kPkru, kPkru, kCompacted | kAvx | kPkru, 840},
                          {kXrstor, kPkru, kAvx, kCompacted | kAvx | kPkru, 576}}) {
    TestCpu cpu(Mode::Protected32);
    cpu.board().processor = Processor::V3;
    cpu->cr4 |= x86::cr4::OSFXSR | x86::cr4::OSXSAVE;
    cpu->xcr0 = xstate::kAll;
    cpu.put<std::uint32_t>(at::kData + 24, 0x1f80);
    cpu.put<std::uint64_t>(at::kData + kBitmap, one.present);
    cpu.put<std::uint64_t>(at::kData + kCompactBitmap, one.compacted);
    cpu->reg(Gpr::Rdi) = at::kData;
    cpu->reg(Gpr::Rax) = one.wanted;
    cpu->reg(Gpr::Rdx) = 0;
    std::uint32_t& limit = cpu->seg(x86::SegmentName::Ds).limit;
    limit = static_cast<std::uint32_t>(at::kData) + one.end - 1;
    cpu.run(one.code);
    EXPECT_EQ(cpu.arrived(), kNone) << one.end;
    --limit;
    cpu.run(one.code);
    EXPECT_EQ(cpu.arrived(), kProtection) << one.end;
  }
}

// Linear addresses have 32 bits there, and an area may go over the last. Its first 1 KiB is at
// kData, the rest at 0.
TEST(XsaveInASegment, GoesOnAtTheBeginningOfLinearAddresses) {
  TestCpu cpu(Mode::Protected32);
  cpu.board().processor = Processor::V3;
  constexpr std::uint64_t kDirectory = at::kPml4, kLastTable = at::kPdpt;
  cpu.put<std::uint32_t>(kDirectory, at::kPt | 3);
  cpu.put<std::uint32_t>(kDirectory + 4 * 1023, kLastTable | 3);
  for (std::uint32_t page = 0; page < 512; ++page)
    cpu.put<std::uint32_t>(at::kPt + 4 * page, page << 12 | 3);
  cpu.put<std::uint32_t>(kLastTable + 4 * 1023, at::kData | 3);
  x86::CpuState s = cpu->state();
  s.cr0 |= x86::cr0::PG;
  s.cr3 = kDirectory;
  s.cr4 |= x86::cr4::OSFXSR | x86::cr4::OSXSAVE;
  s.xcr0 = xstate::kAll;
  s.pkru = 0x12345678;
  s.fpu.vector[7][0] = 7;
  s.seg(x86::SegmentName::Ds).base = 0x80000000;
  s.reg(Gpr::Rdi) = 0x7ffffc00;
  s.reg(Gpr::Rax) = xstate::kAll;
  s.reg(Gpr::Rdx) = 0;
  cpu->set_state(s);
  cpu.run(kXsave);
  EXPECT_EQ(cpu.arrived(), kNone);
  EXPECT_EQ(cpu.get<std::uint32_t>(xstate::kPkruPlace - 1024), 0x12345678u);
  cpu->set_pkru(1);
  cpu.run(kXrstor);
  EXPECT_EQ(cpu.arrived(), kNone);
  EXPECT_EQ(cpu->pkru, 0x12345678u);
  cpu.put<std::uint32_t>(at::kPt, 0);
  cpu->flush_tlb();
  cpu.run(kXrstor);
  EXPECT_EQ(cpu.arrived(), kPageFault);
  EXPECT_EQ(cpu->cr2, xstate::kPkruPlace - 1024u);

  cpu.put<std::uint32_t>(at::kPt, 3);
  cpu->flush_tlb();
  cpu->reg(Gpr::Rdi) = 0x7fffff00;
  cpu.run("0f ae 07");  // fxsave: XMM7 is at 272
  EXPECT_EQ(cpu.arrived(), kNone);
  EXPECT_EQ(cpu.get<std::uint8_t>(272 - 256), 7);
}

// An area that goes into a page which is not there: nothing of it happens, unless that page has
// nothing that is asked for.
TEST_F(Xsave, IntoAnAbsentPage) {
  constexpr std::uint64_t kArea = at::kData + kPageSize - 1024;
  cpu_.small_pages();
  cpu_.unmap(at::kData + kPageSize);
  cpu_->reg(Gpr::Rdi) = kArea;
  EXPECT_EQ(run(kXsave), kPageFault);
  EXPECT_EQ(cpu_->cr2, at::kData + kPageSize);
  EXPECT_EQ(cpu_.get<std::uint64_t>(kArea), 0xeeeeeeeeeeeeeeeeu);
  std::memset(cpu_.host(kArea) + kBitmap, 0, 64);
  EXPECT_EQ(run(kXsavec), kNone);
  cpu_.put<std::uint64_t>(kArea + kCompactBitmap, 0);  // as in the standard form
  x86::CpuState other = cpu_->state();
  other.fpu = {};
  cpu_->set_state(other);
  EXPECT_EQ(run(kXrstor), kPageFault);
  EXPECT_EQ(cpu_->state().fpu.vector, other.fpu.vector) << "all is read before anything changes";
  EXPECT_EQ(cpu_->pkru, 0x55555554u);
  cpu_.put<std::uint64_t>(kArea + kBitmap, xstate::kAvx);
  EXPECT_EQ(run(kXrstor), kNone);
  EXPECT_EQ(ymm(3)[16], 4);
  EXPECT_EQ(cpu_->pkru, 0u);
}

TEST_F(Xsave, IsThereWhenCr4SaysSo) {
  for (const std::string_view code : {kXsave, kXrstor, kXsaveopt, kXsavec}) {
    clear_header();
    cpu_->cr0 |= x86::cr0::TS;
    EXPECT_EQ(run(code), kNotAvailable);
    cpu_->cr0 &= ~x86::cr0::TS;
    cpu_->cr4 &= ~x86::cr4::OSXSAVE;
    EXPECT_EQ(run(code), kInvalid);
    cpu_->cr4 |= x86::cr4::OSXSAVE;
  }
  cpu_->cr4 &= ~x86::cr4::OSXSAVE;
  EXPECT_EQ(run(kXgetbv), kInvalid);
  EXPECT_EQ(run(kXsetbv), kInvalid);
}

TEST_F(Xsave, Xcr0TakesWhatThereIs) {
  const auto set = [&](std::uint64_t number, std::uint64_t value) {
    cpu_->reg(Gpr::Rcx) = number;
    cpu_->reg(Gpr::Rax) = value;
    return run(kXsetbv);
  };
  EXPECT_EQ(set(0, xstate::kX87), kNone);
  EXPECT_EQ(cpu_->xcr0, xstate::kX87);
  EXPECT_EQ(set(0, xstate::kX87 | xstate::kSse), kNone);
  EXPECT_EQ(set(0, xstate::kX87 | xstate::kAvx), kProtection);  // AVX without SSE
  EXPECT_EQ(set(0, xstate::kSse), kProtection);                 // without x87
  EXPECT_EQ(set(0, 15), kProtection);
  EXPECT_EQ(set(0, xstate::kX87 | xstate::kPkru), kNone);  // PKRU without SSE
  EXPECT_EQ(set(0, xstate::kPkru), kProtection);
  EXPECT_EQ(set(0, xstate::kX87 | xstate::kSse), kNone);
  EXPECT_EQ(set(1, xstate::kX87), kProtection);
  EXPECT_EQ(cpu_->xcr0, xstate::kX87 | xstate::kSse);
  cpu_->reg(Gpr::Rcx) = 0;
  EXPECT_EQ(run(kXgetbv), kNone);
  EXPECT_EQ(cpu_.rax(), xstate::kX87 | xstate::kSse);
  cpu_->reg(Gpr::Rcx) = 1;  // what of it is in use
  EXPECT_EQ(run(kXgetbv), kNone);
  cpu_->reg(Gpr::Rcx) = 2;
  EXPECT_EQ(run(kXgetbv), kProtection);
}

// VEX needs XCR0 and CR4, and nothing of what SSE needs (SDM 2A table 2-18).
TEST_F(Xsave, AvxIsThereWhenXcr0SaysSo) {
  constexpr std::string_view kAdd = "c5 f4 58 c1";  // vaddps ymm0, ymm1, ymm1
  EXPECT_EQ(run(kAdd), kNone);
  cpu_->xcr0 = xstate::kX87 | xstate::kSse;
  EXPECT_EQ(run(kAdd), kInvalid);
  EXPECT_EQ(run("c4 e2 70 f2 c1"), kNone);  // andn
  cpu_->xcr0 = xstate::kAll;
  cpu_->cr0 |= x86::cr0::TS;
  EXPECT_EQ(run(kAdd), kNotAvailable);
  cpu_->cr0 &= ~x86::cr0::TS;
  cpu_->cr4 &= ~x86::cr4::OSFXSR;
  EXPECT_EQ(run(kAdd), kNone);
  cpu_->cr4 &= ~x86::cr4::OSXSAVE;
  EXPECT_EQ(run(kAdd), kInvalid);
}

// Of a masked move, what the mask leaves out may be anywhere (SDM 2C, VMASKMOV). These are between
// [rbp] and ymm1.
TEST_F(Xsave, MaskedMovesLookAtWhatIsChosenAlone) {
  constexpr std::string_view kLoad = "c4 e2 75 2c 45 00", kStore = "c4 e2 75 2e 45 00";
  cpu_->reg(Gpr::Rbp) = std::uint64_t{1} << 63;
  x86::CpuState s = cpu_->state();
  s.fpu.vector[1].fill(0);
  cpu_->set_state(s);
  EXPECT_EQ(run(kLoad), kNone);
  EXPECT_EQ(ymm(0)[0], 0);
  EXPECT_EQ(run(kStore), kNone);
  // Where the lower half of addresses ends, the first element is unmapped, the others are nowhere.
  s.reg(Gpr::Rbp) = (std::uint64_t{1} << 47) - 4;
  s.fpu.vector[1][3] = 0x80;
  cpu_->set_state(s);
  EXPECT_EQ(run(kLoad), kPageFault);
  s.fpu.vector[1][3] = 0;
  s.fpu.vector[1][7] = 0x80;
  cpu_->set_state(s);
  EXPECT_EQ(run(kStore), kStackFault);
}

TEST_F(Xsave, DebuggersWriteWhatThereIs) {
  const x86::CpuState now = cpu_->state();
  x86::CpuState s = now;
  EXPECT_EQ(unknown_bits(*cpu_, s), std::nullopt);
  s.xcr0 = xstate::kX87;
  EXPECT_EQ(unknown_bits(*cpu_, s), std::nullopt);
  for (const std::uint64_t xcr0 : {std::uint64_t{0}, xstate::kAvx, xstate::kAll | 8}) {
    s.xcr0 = xcr0;
    EXPECT_NE(unknown_bits(*cpu_, s), std::nullopt) << xcr0;
  }
  cpu_.board().processor = Processor::V2;
  cpu_->cr4 &= ~x86::cr4::OSXSAVE;
  s = cpu_->state();
  EXPECT_NE(unknown_bits(*cpu_, s), std::nullopt) << "registers end at 128 bits";
  s.pkru = 0;
  for (auto& value : s.fpu.vector)
    std::fill(value.begin() + 16, value.end(), std::uint8_t{0});
  EXPECT_EQ(unknown_bits(*cpu_, s), std::nullopt);
  s.pkru = 4;
  EXPECT_NE(unknown_bits(*cpu_, s), std::nullopt) << "there are no keys";
  s.pkru = 0;
  s.xcr0 = xstate::kX87;
  EXPECT_NE(unknown_bits(*cpu_, s), std::nullopt);
}

TEST_F(Xsave, VexClearsWhatIsAbove) {
  ASSERT_EQ(run("c5 f8 28 c1"), kNone);  // vmovaps xmm0, xmm1
  EXPECT_EQ(ymm(0)[15], 2);
  EXPECT_EQ(ymm(0)[16], 0);
  ASSERT_EQ(run("0f 28 d1"), kNone);  // movaps xmm2, xmm1
  EXPECT_EQ(ymm(2)[15], 2);
  EXPECT_EQ(ymm(2)[16], 3);
  ASSERT_EQ(run("c5 f8 77"), kNone);  // vzeroupper
  EXPECT_EQ(ymm(15)[15], 16);
  EXPECT_EQ(ymm(15)[16], 0);
}

}  // namespace
}  // namespace ringside::soft
