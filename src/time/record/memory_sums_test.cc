#include "time/record/memory_sums.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace ringside::time {
namespace {

constexpr std::uint64_t kMemory = 64u << 20;

// Tells of what a test changes.
class Teller final : public hypervisor::Rewindable {
 public:
  void keep_pages(hypervisor::PageKeeper& keeper) override { keeper_ = &keeper; }
  void forget_keeper(hypervisor::PageKeeper&) override { keeper_ = nullptr; }
  void begin_interval(hypervisor::PageKeeper&) override { told_.clear(); }
  void page_replaced(Gpa) override {}
  void set_parts(std::uint64_t) override {}
  std::uint64_t steps_of(VcpuId) const override { return 0; }
  void set_steps(VcpuId, std::uint64_t) override {}
  void travel(hypervisor::HitListener*) override {}
  void pass_breakpoints(std::uint64_t) override {}

  void write(std::uint64_t address, std::uint8_t value) {
    touch(address);
    *ram.host(Gpa{address}, 1) = value;
  }
  void touch(std::uint64_t address) {
    const std::uint64_t page = address / kPageSize * kPageSize;
    if (std::find(told_.begin(), told_.end(), page) != told_.end()) return;
    told_.push_back(page);
    keeper_->keep(Gpa{page}, ram.host(Gpa{page}, kPageSize));
  }

  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(kMemory);

 private:
  hypervisor::PageKeeper* keeper_ = nullptr;
  std::vector<std::uint64_t> told_;
};

struct Rig {
  Teller teller;
  MemorySums sums{teller, teller.ram};
};

std::size_t part_of(std::uint64_t address) { return address / (kMemory / kMemoryParts); }

TEST(MemorySums, DependOnTheContentAlone) {
  Rig one, other;
  const MemoryParts at_start = one.sums.take();
  one.teller.write(0x1234567, 1);
  one.teller.write(0x7000, 2);
  const MemoryParts changed = one.sums.take();
  EXPECT_NE(changed, at_start);
  // In another order, over other intervals, and with pages that are told of and do not change.
  other.teller.write(0x7000, 9);
  other.teller.touch(0x345000);
  other.sums.take();
  other.teller.touch(0x345000);
  other.teller.write(0x7000, 2);
  other.teller.touch(0x1fff000);
  other.sums.take();
  other.teller.write(0x1234567, 1);
  EXPECT_EQ(other.sums.take(), changed);
  one.teller.write(0x7000, 0);
  one.teller.write(0x1234567, 0);
  EXPECT_EQ(one.sums.take(), at_start);
}

TEST(MemorySums, TellThePageInWhichTheyDiffer) {
  Rig one, other;
  std::minstd_rand random(1);
  const auto ram_address = [&] { return 0x100000 + random() % (kMemory - 0x100000); };
  for (unsigned i = 0; i < 200; ++i) {
    const std::uint64_t common = ram_address(), address = ram_address();
    one.teller.write(common, static_cast<std::uint8_t>(i));
    other.teller.write(common, static_cast<std::uint8_t>(i));
    const std::uint8_t before = *one.teller.ram.host(Gpa{address}, 1);
    one.teller.write(address, static_cast<std::uint8_t>(before + 1 + i % 255));
    const MemoryParts a = one.sums.take(), b = other.sums.take();
    for (std::size_t part = 0; part < kMemoryParts; ++part) {
      if (part != part_of(address)) {
        EXPECT_EQ(a[part], b[part]);
      } else {
        EXPECT_NE(a[part].plain, b[part].plain);
        EXPECT_EQ(differing_page(a[part], b[part]), address / kPageSize);
      }
    }
    one.teller.write(address, before);
  }
}

TEST(MemorySums, SeeEachBitOfAPage) {
  Rig rig;
  const MemoryParts at_start = rig.sums.take();
  for (std::uint64_t bit = 0; bit < kPageSize * 8; bit += 61) {
    rig.teller.write(0x400000 + bit / 8, static_cast<std::uint8_t>(1u << bit % 8));
    EXPECT_NE(rig.sums.take(), at_start) << bit;
    rig.teller.write(0x400000 + bit / 8, 0);
    EXPECT_EQ(rig.sums.take(), at_start) << bit;
  }
}

TEST(MemorySums, ZerosAreZeros) {
  Teller untouched, touched;
  std::memset(touched.ram.host(Gpa{0x800000}, 1), 0, 1u << 20);
  MemorySums first(untouched, untouched.ram), second(touched, touched.ram);
  untouched.write(0x812345, 3);
  touched.write(0x812345, 3);
  EXPECT_EQ(first.take(), second.take());
}

TEST(MemorySums, WhatIsUndoneLeavesNoTrace) {
  Rig stays, goes;
  for (Rig* rig : {&stays, &goes})
    rig->teller.write(0x200000, 1);
  goes.sums.take();
  for (const auto& [address, value] : {std::pair(0x200000, 7), {0x300000, 7}, {0x300000, 0}})
    goes.teller.write(static_cast<std::uint64_t>(address), static_cast<std::uint8_t>(value));
  *goes.teller.ram.host(Gpa{0x200000}, 1) = 1;  // who undoes it does not tell
  for (Rig* rig : {&stays, &goes})
    rig->teller.write(0x300000, 2);
  EXPECT_EQ(goes.sums.take(), stays.sums.take());
}

// A loader writes without telling; what has changed before counts all the same.
TEST(MemorySums, KnowWhatWasBeforeALoader) {
  Rig one, other;
  one.teller.write(0x200000, 1);
  for (Rig* rig : {&one, &other}) {
    rig->sums.forget_content();
    *rig->teller.ram.host(Gpa{0x300000}, 1) = 5;
    rig->teller.write(0x300001, 6);
  }
  const MemoryParts a = one.sums.take(), b = other.sums.take();
  EXPECT_EQ(differing_page(a[0], b[0]), 0x200u);
  other.teller.write(0x200000, 1);
  EXPECT_EQ(other.sums.take(), a);
}

}  // namespace
}  // namespace ringside::time
