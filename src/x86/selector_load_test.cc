#include "x86/selector_load.h"

#include <gtest/gtest.h>

#include <map>

#include "x86/entry_rules.h"

namespace ringside::x86 {
namespace {

constexpr std::uint64_t kGdt = 0x4000, kLdt = 0x5000;
constexpr std::uint16_t kCode0 = 0x08, kData0 = 0x10, kCode3 = 0x1b, kData3 = 0x23, kTask = 0x28,
                        kLocal = 0x38, kAbsent = 0x48, kReadOnly = 0x50, kConforming = 0x58,
                        kBoth = 0x60, kUnmapped = 0x68;

// Without the accessed bit where the processor sets it.
class Tables final : public DescriptorReader {
 public:
  Tables() {
    put(kGdt, kCode0, 0x00209a0000000000);
    put(kGdt, kData0, 0x00cf92000000ffff);
    put(kGdt, kCode3, 0x0020fa0000000000);
    put(kGdt, kData3, 0x12cff2345678ffff);
    put(kGdt, kTask, 0x0000890060000067);
    put(kGdt, kTask + 8, 0xffff8000);
    put(kGdt, kLocal, 0x000082005000000f);
    put(kGdt, kLocal + 8, 0);
    put(kGdt, kAbsent, 0x00cf12000000ffff);
    put(kGdt, kReadOnly, 0x00cf90000000ffff);
    put(kGdt, kConforming, 0x00209e0000000000);
    put(kGdt, kBoth, 0x00609a0000000000);
    put(kLdt, 0x0c, 0x00409200700000ff);
  }
  Result<std::uint64_t> read_descriptor(Gva address) override {
    const auto found = entries_.find(address.value);
    if (found != entries_.end()) return found->second;
    return fail(ErrorCode::BadAddress, "nothing is mapped");
  }

 private:
  void put(std::uint64_t table, std::uint16_t selector, std::uint64_t entry) {
    entries_[table + (selector & ~7u)] = entry;
  }
  std::map<std::uint64_t, std::uint64_t> entries_;
};

class SelectorLoad : public ::testing::Test {
 protected:
  SelectorLoad() {
    state_.cr0 = cr0::PE | cr0::PG | cr0::ET;
    state_.cr4 = cr4::PAE;
    state_.efer = efer::LME | efer::LMA;
    state_.gdtr = {kGdt, 0x6f};
    state_.seg(SegmentName::Cs).attributes = kAttributesCode64;
    state_.seg(SegmentName::Ss).attributes = kAttributesData32;
    state_.ldtr.attributes = 0;
  }
  // Empty if it was loaded.
  std::string load(SegmentName name, std::uint16_t selector, unsigned cpl = 0) {
    const Segment before = state_.seg(name);
    const auto done = load_selector(state_, name, selector, cpl, tables_);
    if (done) return {};
    EXPECT_EQ(state_.seg(name).selector, before.selector);
    EXPECT_EQ(state_.seg(name).base, before.base);
    return done.error().text();
  }
  CpuState state_ = reset_state();
  Tables tables_;
};

TEST_F(SelectorLoad, OfADescriptorIsTheHiddenPartWithTheAccessedBit) {
  EXPECT_EQ(load(SegmentName::Ds, kData3), "");
  const Segment& ds = state_.seg(SegmentName::Ds);
  EXPECT_EQ(ds.selector, kData3);
  EXPECT_EQ(ds.base, 0x12345678u);
  EXPECT_EQ(ds.limit, 0xffffffffu);
  EXPECT_EQ(ds.attributes, 0xc0f3);
  EXPECT_EQ(load(SegmentName::Cs, kCode0), "");
  EXPECT_EQ(state_.seg(SegmentName::Cs).attributes, 0x209b);
}

TEST_F(SelectorLoad, WhatTheProcessorRefusesIsRefusedInWords) {
  EXPECT_EQ(load(SegmentName::Ds, 0x70), "it lies beyond its table, whose limit is 0x6f");
  EXPECT_EQ(load(SegmentName::Ds, kUnmapped), "its descriptor cannot be read: nothing is mapped");
  EXPECT_EQ(load(SegmentName::Ds, 0x0c), "there is no local descriptor table");
  EXPECT_EQ(load(SegmentName::Ds, kAbsent), "its descriptor is not present");
  EXPECT_EQ(load(SegmentName::Ds, kTask), "its descriptor is no readable segment");
  EXPECT_EQ(load(SegmentName::Ds, kData0, 3), "its descriptor is of privilege level 0, below 3");
  EXPECT_EQ(load(SegmentName::Ds, kData0 | 3), "its descriptor is of privilege level 0, below 3");
  EXPECT_EQ(load(SegmentName::Ds, kConforming, 3), "");
  EXPECT_EQ(load(SegmentName::Cs, kData0), "its descriptor is no code segment");
  EXPECT_EQ(load(SegmentName::Cs, 0), "a null selector is no code segment");
  EXPECT_EQ(load(SegmentName::Cs, kCode0 | 3), "its descriptor is of privilege level 0, not 3");
  EXPECT_EQ(load(SegmentName::Cs, kBoth), "its descriptor has both L and D set");
  EXPECT_EQ(load(SegmentName::Cs, kConforming | 3), "");
  EXPECT_EQ(load(SegmentName::Ss, kReadOnly), "its descriptor is no writable data segment");
  EXPECT_EQ(load(SegmentName::Ss, kData3), "it asks for privilege level 3, the processor is at 0");
  EXPECT_EQ(load(SegmentName::Ss, kData0 | 3, 3), "its descriptor is of privilege level 0, not 3");
}

TEST_F(SelectorLoad, ANullSelectorIsUnusable) {
  EXPECT_EQ(load(SegmentName::Fs, 0), "");
  EXPECT_TRUE(state_.seg(SegmentName::Fs).unusable());
  EXPECT_EQ(load(SegmentName::Ss, 0), "");  // 64-bit code at level 0
  EXPECT_EQ(privilege_level(state_), 0u);
  state_.seg(SegmentName::Cs).attributes = kAttributesCode32;
  EXPECT_NE(load(SegmentName::Ss, 0), "");
}

TEST_F(SelectorLoad, TheSystemSegmentsOfLongModeHaveSixteenBytes) {
  ASSERT_TRUE(load_task(state_, kTask, tables_));
  EXPECT_EQ(state_.tr.base, 0xffff800000006000u);
  EXPECT_EQ(state_.tr.type(), system_type::kTssBusy);
  ASSERT_TRUE(load_local_table(state_, kLocal, tables_));
  EXPECT_EQ(state_.ldtr.base, kLdt);
  EXPECT_EQ(load(SegmentName::Gs, 0x0c), "");
  EXPECT_EQ(state_.seg(SegmentName::Gs).base, 0x7000u);
  EXPECT_FALSE(load_task(state_, kLocal, tables_));
  EXPECT_FALSE(load_task(state_, 0, tables_));
  EXPECT_FALSE(load_local_table(state_, kTask, tables_));
  EXPECT_FALSE(load_local_table(state_, kData0, tables_));
  ASSERT_TRUE(load_local_table(state_, 0, tables_));
  EXPECT_TRUE(state_.ldtr.unusable());
}

TEST_F(SelectorLoad, InRealModeTheLimitStays) {
  state_ = reset_state();
  state_.seg(SegmentName::Ds).limit = 0xffffffff;
  EXPECT_EQ(load(SegmentName::Ds, 0x1234), "");
  EXPECT_EQ(state_.seg(SegmentName::Ds).base, 0x12340u);
  EXPECT_EQ(state_.seg(SegmentName::Ds).limit, 0xffffffffu);
  EXPECT_EQ(load(SegmentName::Cs, 0xf000), "");
  EXPECT_EQ(state_.seg(SegmentName::Cs).base, 0xf0000u);
  EXPECT_FALSE(load_task(state_, kTask, tables_));
  state_.cr0 |= cr0::PE;
  state_.rflags |= rflags::VM;
  EXPECT_EQ(load(SegmentName::Ds, 0x1235), "");
  EXPECT_EQ(state_.seg(SegmentName::Ds).limit, 0xffffu);
  EXPECT_EQ(state_.seg(SegmentName::Ds).attributes, kAttributes8086);
}

TEST_F(SelectorLoad, RulesOfVmEntry) {
  const auto broken = [&](auto change) {
    CpuState after = state_;
    change(after);
    derive_long_mode(after);
    return std::string(broken_rule(state_, after).value_or(""));
  };
  EXPECT_EQ(broken([](CpuState&) {}), "");
  EXPECT_EQ(broken([](CpuState& s) { s.cr4 |= cr4::PGE; }), "");
  EXPECT_EQ(broken([](CpuState& s) { s.cr4 = 0; }),
            "long mode (efer.LME with cr0.PG) needs cr4.PAE");
  EXPECT_EQ(broken([](CpuState& s) { s.cr0 &= ~cr0::PE; }), "cr0.PG needs cr0.PE");
  EXPECT_EQ(broken([](CpuState& s) { s.cr0 &= ~cr0::PG; }),
            "64-bit code cannot leave long mode: cs has L set");
  EXPECT_EQ(broken([](CpuState& s) { s.cr0 = cr0::ET; }),
            "64-bit code cannot leave long mode: cs has L set");
  EXPECT_EQ(broken([](CpuState& s) { s.cr0 |= cr0::NW; }), "cr0.NW needs cr0.CD");
  EXPECT_EQ(broken([](CpuState& s) { s.cr0 |= 1ull << 40; }), "cr0 has no bits above 31");
  EXPECT_EQ(broken([](CpuState& s) { s.rflags |= rflags::VM; }),
            "eflags.VM needs cr0.PE, and no long mode");
  EXPECT_EQ(broken([](CpuState& s) { s.seg(SegmentName::Cs).attributes |= 0x4000; }),
            "the code segment has both L and D set, which long mode does not allow");
  // What is broken already is the guest's.
  state_.cr0 |= cr0::NW;
  EXPECT_EQ(broken([](CpuState& s) { s.cr0 |= cr0::TS; }), "");
}

}  // namespace
}  // namespace ringside::x86
