// How long a translation is kept is the guest's own affair: a guest that changes its tables without
// INVLPG (SDM 3A 4.10.4.2 allows both the old and the new mapping then) sees the same thing whether
// or not a debugger puts breakpoints and watchpoints in between.
#include <gtest/gtest.h>

#include <functional>

#include "base/state_hash.h"
#include "engine/soft/soft_vm.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using hypervisor::Vm;
using hypervisor::WatchKind;

constexpr std::uint64_t kCode = 0x7000, kDirectory = 0x1000, kTable = 0x2000, kData = 0x10000,
                        kOtherData = 0x11000, kFunction = 0x12000, kOtherFunction = 0x13000,
                        kInstructions = 60;

// 32-bit paging, pages of 4 KiB. Reads from a page and calls into another one, gives both other
// frames, and does it again; a write to the first page then needs a walk.
constexpr std::string_view kProgram =
    "a100000100"            // mov eax, [kData]
    "e8f6af0000"            // call kFunction
    "c7054020000007100100"  // mov dword [kTable + 0x40], kOtherData + 7
    "c7054820000007300100"  // mov dword [kTable + 0x48], kOtherFunction + 7
    "8b1d00000100"          // mov ebx, [kData]
    "e8d7af0000"            // call kFunction
    "c7051000010055000000"  // mov dword [kData + 0x10], 0x55
    "8b0d00000100"          // mov ecx, [kData]
    "ebfe";

class Translations : public ::testing::Test {
 protected:
  void put(std::uint64_t address, std::string_view hex) {
    for (std::size_t at = 0; at < hex.size(); at += 2) {
      *ram_.host({address + at / 2}, 1) =
          static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(at, 2)), nullptr, 16));
    }
  }
  void put32(std::uint64_t address, std::uint32_t value) {
    std::memcpy(ram_.host({address}, 4), &value, 4);
  }

  struct Outcome {
    std::uint64_t eax, ebx, ecx, edx, hash;
    bool operator==(const Outcome&) const = default;
  };
  // `meddle` is done once after so many instructions.
  Outcome run(std::uint64_t after, const std::function<void(Vm&)>& meddle) {
    std::memset(ram_.host({0}, 0x80000), 0, 0x80000);
    put32(kDirectory, kTable | 7);
    for (std::uint32_t page = 0; page < 1024; ++page)
      put32(kTable + 4 * page, page << 12 | 7);
    put32(kData, 0x01d);
    put32(kOtherData, 0x2e3);
    put(kCode, kProgram);
    put(kFunction, "42c3");                 // inc edx; ret
    put(kOtherFunction, "81c200010000c3");  // add edx, 0x100; ret
    x86::CpuState entry = x86::reset_state();
    for (auto& segment : entry.segment)
      segment = {0x10, x86::kAttributesData32, 0xffffffff, 0};
    entry.seg(x86::SegmentName::Cs) = {8, x86::kAttributesCode32, 0xffffffff, 0};
    entry.cr0 = x86::cr0::PE | x86::cr0::PG | x86::cr0::ET;
    entry.cr3 = kDirectory;
    entry.rip = kCode;
    entry.reg(x86::Gpr::Rsp) = 0x6000;
    entry.reg(x86::Gpr::Rdx) = 0;
    const auto engine = create(ram_, platform_, entry, {});
    engine->resume({0});
    run_to(*engine, after);
    meddle(*engine);
    run_to(*engine, kInstructions);
    EXPECT_FALSE(engine->take_event());
    const x86::CpuState end = *engine->vcpu({0}).state();
    StateHasher hasher;
    engine->visit_state(hasher);
    return {end.reg(x86::Gpr::Rax), end.reg(x86::Gpr::Rbx), end.reg(x86::Gpr::Rcx),
            end.reg(x86::Gpr::Rdx), hasher.value()};
  }
  static void run_to(SoftEngine& engine, std::uint64_t total) {
    engine.stop_at(InsnCount{total});
    while (engine.total_instructions().value < total && !engine.ended() && engine.run_slice()) {
    }
    ASSERT_EQ(engine.total_instructions().value, total)
        << (engine.ended() ? engine.ended()->reason : "");
  }

  hypervisor::GuestRam ram_ = hypervisor::GuestRam::create(4u << 20).value();
  testing::TestPlatform platform_;
};

TEST_F(Translations, OutliveADebuggersStoppoints) {
  const Outcome alone = run(0, [](Vm&) {});
  EXPECT_EQ(alone.eax, 0x01du);
  EXPECT_EQ(alone.ebx, 0x01du);  // the old mapping
  EXPECT_EQ(alone.edx, 2u);      // of the code too
  EXPECT_EQ(alone.ecx, 0x2e3u);  // the write has looked at the tables

  const Gva data{kData + 0x800}, code{kFunction + 0x800};  // on the pages, but never met
  const auto watch = [&](Vm& vm) {
    EXPECT_TRUE(vm.watchpoints()->insert_watchpoint(data, 4, WatchKind::Access));
  };
  const std::vector<std::function<void(Vm&)>> meddling = {
      watch,
      [&](Vm& vm) {
        watch(vm);
        EXPECT_TRUE(vm.watchpoints()->remove_watchpoint(data, 4, WatchKind::Access));
      },
      [&](Vm& vm) {
        EXPECT_TRUE(vm.watchpoints()->insert_watchpoint({kCode + 0x800}, 4, WatchKind::Write));
      },
      [&](Vm& vm) {
        EXPECT_TRUE(vm.physical_watchpoints()->insert_physical_watchpoint({kData + 0x800}, 4,
                                                                          WatchKind::Access));
      },
      [&](Vm& vm) { EXPECT_TRUE(vm.breakpoints()->insert_breakpoint(code)); },
      [&](Vm& vm) {
        EXPECT_TRUE(vm.breakpoints()->insert_breakpoint(code));
        EXPECT_TRUE(vm.breakpoints()->remove_breakpoint(code));
      },
      [&](Vm& vm) {
        EXPECT_TRUE(vm.physical_breakpoints()->insert_physical_breakpoint({kFunction + 0x800}));
      },
  };
  for (std::size_t kind = 0; kind < meddling.size(); ++kind) {
    for (std::uint64_t after = 0; after < 16; ++after)
      EXPECT_TRUE(run(after, meddling[kind]) == alone) << kind << " after " << after;
  }
}

}  // namespace
}  // namespace ringside::soft
