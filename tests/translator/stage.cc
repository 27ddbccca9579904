#include "translator/stage.h"

#include <cstring>

#include "engine/soft/state/xstate.h"
#include "engine/soft/testing/test_cpu.h"
#include "translator/handlers.h"

namespace ringside::testing {
namespace {

using soft::testing::TestCpu;
namespace at = soft::testing::at;

constexpr std::uint64_t kPresent = 1, kWritable = 2, kUser = 4, kNoExecuteBit = 1ull << 63;
constexpr std::uint64_t kTaskState = at::kTss, kInterruptStack = 1;

static_assert(stage::kCode == at::kCode && stage::kHandlers == at::kHandlers &&
              stage::kPageTable == at::kPt);
static_assert(stage::kUserCode64 == soft::testing::sel::kCode3 &&
              stage::kUserCode32 == soft::testing::sel::kCode32User &&
              stage::kUserData == soft::testing::sel::kData3 &&
              stage::kKernelCode == soft::testing::sel::kCode0 &&
              stage::kKernelCode32 == soft::testing::sel::kCode32 &&
              stage::kKernelData == soft::testing::sel::kData0);

// What each page of the first two MiB is mapped to, with its rights.
std::uint64_t entry_of(std::uint64_t page) {
  using namespace stage;
  constexpr std::uint64_t kAll = kPresent | kWritable | kUser;
  const auto within = [page](std::uint64_t first, std::uint64_t pages) {
    return page >= first && page < first + pages * kPageSize;
  };
  if (within(kReadOnly, 1)) return page | kPresent | kUser;
  if (within(kAbsent, 1)) return 0;
  if (within(kKernelOnly, 1)) return page | kPresent | kWritable;
  if (within(kNoExecute, 1)) return page | kAll | kNoExecuteBit;
  if (within(0x1000, 8) || within(kHandlers, 16)) return page | kPresent | kWritable;
  if (within(0x9000, 7)) return (page + 0x160000) | kAll;  // where 16-bit addresses lead
  if (within(kCodeAlias, kCodePages)) return (page - kCodeAlias + kCode) | kAll;
  if (within(kKernelCodeAlias, kCodePages))
    return (page - kKernelCodeAlias + kCode) | kPresent | kWritable;
  if (within(kMoving, 1)) return kMovingPlace | kAll;
  if (within(kDataAlias, kDataPages)) return (page - kDataAlias + kData) | kAll;
  if (within(kRegisters, 1)) return 0xd0000000 | kAll;
  if (within(kNobody, 1)) return 0xd0002000 | kAll;
  return page | kAll;
}

bool raised_by_program(unsigned vector) {
  return vector == 3 || vector == 4 ||
         (vector >= stage::kFirstCall && vector < stage::kFirstCall + stage::kCalls);
}

void add_long_tables(TestCpu& cpu) {
  cpu.small_pages();
  for (std::uint64_t page = 0; page < stage::kMemory; page += kPageSize)
    cpu.put<std::uint64_t>(stage::kPageTable + page / kPageSize * 8, entry_of(page));
  cpu.put<std::uint64_t>(kTaskState + 0x24, at::kIst);
  // At privilege 0 a stack that the program has lost must not be the handler's.
  for (unsigned vector = 0; vector < 256; ++vector) {
    cpu.gate64(vector, x86::system_type::kInterruptGate, raised_by_program(vector) ? 3 : 0,
               kInterruptStack);
  }
}

void add_legacy_tables(TestCpu& cpu) {
  cpu.put<std::uint32_t>(at::kPml4, stage::kPageTable | 7);
  for (std::uint64_t page = 0; page < stage::kMemory; page += kPageSize) {
    cpu.put<std::uint32_t>(stage::kPageTable + page / kPageSize * 4,
                           static_cast<std::uint32_t>(entry_of(page)));
  }
  for (unsigned vector = 0; vector < 256; ++vector) {
    cpu.gate32(vector, x86::system_type::kInterruptGate, raised_by_program(vector) ? 3 : 0);
  }
}

TestCpu::Mode mode_for(Setting setting) {
  if (is_64(setting)) return TestCpu::Mode::Long64;
  return setting == Setting::Real16 ? TestCpu::Mode::Real : TestCpu::Mode::Protected32;
}

void set_entry(TestCpu& cpu, Setting setting, x86::CpuState& entry) {
  if (is_user(setting)) cpu.enter_user();
  entry = cpu->state();
  entry.cr4 |= x86::cr4::OSFXSR | x86::cr4::OSXMMEXCPT;
  entry.rflags |= x86::rflags::IF;
  if (setting == Setting::Real16) {
    for (const auto name :
         {x86::SegmentName::Ds, x86::SegmentName::Es, x86::SegmentName::Fs, x86::SegmentName::Gs}) {
      entry.seg(name).selector = stage::kRealBase >> 4;
      entry.seg(name).base = stage::kRealBase;
    }
    return;
  }
  entry.cr0 |= x86::cr0::AM | x86::cr0::PG | x86::cr0::WP;
  entry.cr3 = at::kPml4;
  if (is_64(setting)) {
    entry.seg(x86::SegmentName::Fs).base = 0x40;
    entry.seg(x86::SegmentName::Gs).base = 0x1000;
  } else {
    // GS ends in the midst of the data.
    entry.seg(x86::SegmentName::Fs).base = 0x40;
    entry.seg(x86::SegmentName::Gs).limit = stage::kData + 0x1800;
  }
}

}  // namespace

const char* name_of(Setting setting) {
  switch (setting) {
    case Setting::User64:
      return "User64";
    case Setting::Kernel64:
      return "Kernel64";
    case Setting::User32:
      return "User32";
    case Setting::Kernel32:
      return "Kernel32";
    default:
      return "Real16";
  }
}

Scene make_stage(Setting setting, hypervisor::Processor processor) {
  TestCpu cpu(mode_for(setting), stage::kMemory);
  if (is_64(setting)) add_long_tables(cpu);
  if (mode_of(setting) == CodeMode::Code32) add_legacy_tables(cpu);
  Scene scene;
  set_entry(cpu, setting, scene.entry);
  scene.processor = processor;
  const bool is_v3 = processor == hypervisor::Processor::V3;
  if (is_v3) {
    scene.entry.cr4 |= x86::cr4::OSXSAVE;
    scene.entry.xcr0 = soft::xstate::kAll;
  }
  scene.memory.resize(stage::kMemory);
  std::memcpy(scene.memory.data(), cpu.host(0), stage::kCode);
  constexpr std::uint8_t kHlt = 0xf4;
  std::memset(&scene.memory[stage::kCode], kHlt, stage::kCodeEnd - stage::kCode);
  const auto handlers = handlers_for(setting);
  std::memcpy(&scene.memory[stage::kHandlers], handlers.data(), handlers.size());
  scene.memory[stage::kIsV3] = is_v3 ? 1 : 0;
  for (unsigned i = 0; i < stage::kResumes; ++i)
    set_resume(scene, i, stage::kCode);
  return scene;
}

void set_resume(Scene& scene, unsigned index, std::uint64_t address) {
  // Real mode has the offset in its code segment in the lower half.
  std::memcpy(&scene.memory[stage::kResume + 8 * index], &address, 8);
}

}  // namespace ringside::testing
