#include "ringside/x86/cpu_state.h"

#include <gtest/gtest.h>

namespace ringside::x86 {
namespace {

// SDM 3A table 9-1.
TEST(CpuState, InitKeepsTheFpuTheMsrsAndTheCaches) {
  CpuState before = reset_state();
  before.gpr.fill(0x1111);
  before.rip = 0x2222;
  before.rflags = rflags::Fixed | rflags::IF;
  before.cr0 = cr0::PE | cr0::PG | cr0::WP | cr0::TS;
  before.cr2 = before.cr3 = 0x3000;
  before.cr4 = cr4::PAE;
  before.cr8 = 5;
  before.efer = efer::LME | efer::LMA;
  before.dr = {1, 2, 3, 4};
  before.dr7 = 0x401;
  before.gdtr = before.idtr = {0x4000, 0x7f};
  before.tr.base = before.ldtr.base = 0x5000;
  before.xcr0 = 7;
  before.lstar = 0x6000;
  before.pat = 0x0606060606060606;
  before.apic_base = 0xfee00d00;
  before.fpu.mxcsr = 0x1fa0;
  before.fpu.control = 0x27f;

  const CpuState after = init_state(before, 0x106ca);
  const CpuState fresh = reset_state();
  EXPECT_EQ(after.reg(Gpr::Rdx), 0x106cau);
  EXPECT_EQ(after.reg(Gpr::Rax), 0u);
  EXPECT_EQ(after.rip, 0xfff0u);
  EXPECT_EQ(after.rflags, rflags::Fixed);
  EXPECT_EQ(after.seg(SegmentName::Cs).base, 0xffff0000u);
  EXPECT_EQ(after.cr0, cr0::ET);
  EXPECT_EQ(after.cr2 | after.cr3 | after.cr4 | after.cr8 | after.efer, 0u);
  EXPECT_EQ(after.dr, fresh.dr);
  EXPECT_EQ(after.dr7, fresh.dr7);
  EXPECT_EQ(after.gdtr.limit, 0xffff);
  EXPECT_EQ(after.idtr.base | after.tr.base | after.ldtr.base, 0u);
  EXPECT_EQ(after.xcr0, 7u);
  EXPECT_EQ(after.lstar, 0x6000u);
  EXPECT_EQ(after.pat, before.pat);
  EXPECT_EQ(after.apic_base, before.apic_base);
  EXPECT_EQ(after.fpu.mxcsr, 0x1fa0u);
  EXPECT_EQ(after.fpu.control, 0x27f);

  before.cr0 |= cr0::CD | cr0::NW;
  EXPECT_EQ(init_state(before, 0).cr0, cr0::ET | cr0::CD | cr0::NW);
}

TEST(CpuState, The_signature_is_in_rdx_after_reset) {
  EXPECT_EQ(reset_state(0x106ca).reg(Gpr::Rdx), 0x106cau);
  EXPECT_EQ(reset_state().reg(Gpr::Rdx), 0u);
}

TEST(CpuState, A_start_up_ipi_names_a_page_below_1_mib) {
  const Segment before = reset_state().seg(SegmentName::Cs);
  const Segment after = start_up_segment(before, 0x9f);
  EXPECT_EQ(after.selector, 0x9f00);
  EXPECT_EQ(after.base, 0x9f000u);
  EXPECT_EQ(after.limit, before.limit);
  EXPECT_EQ(after.attributes, before.attributes);
}

}  // namespace
}  // namespace ringside::x86
