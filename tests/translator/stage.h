// Where everything lies in the scenes that programs are put into: tables, pages with every kind of
// right, handlers for all vectors that count and go on. The program's code is the caller's.
#pragma once

#include "differential/state.h"
#include "translator/scene.h"

namespace ringside::testing {

using CodeMode = differential::Mode;

// How the processor is set up when the program begins.
enum class Setting : std::uint8_t {
  User64,    // 64-bit code at privilege 3, which can change to 32-bit code
  Kernel64,  // the same at privilege 0
  User32,    // protected mode with 32-bit paging
  Kernel32,
  Real16,
};
inline constexpr Setting kSettings[] = {Setting::User64, Setting::Kernel64, Setting::User32,
                                        Setting::Kernel32, Setting::Real16};
const char* name_of(Setting setting);

constexpr bool is_64(Setting setting) {
  return setting == Setting::User64 || setting == Setting::Kernel64;
}
constexpr bool is_user(Setting setting) {
  return setting == Setting::User64 || setting == Setting::User32;
}
constexpr CodeMode mode_of(Setting setting) {
  if (is_64(setting)) return CodeMode::Code64;
  return setting == Setting::Real16 ? CodeMode::Code16 : CodeMode::Code32;
}

// Physical addresses, which are linear ones too unless said otherwise.
namespace stage {
inline constexpr std::uint64_t kMemory = 2u << 20;
inline constexpr std::uint64_t kPageTable = 0x7000;
inline constexpr std::uint64_t kCode = 0x10000, kCodePages = 8;
inline constexpr std::uint64_t kCodeEnd = kCode + kCodePages * kPageSize;
// Data: four pages that can be written, then one each that cannot, that is not there, that is the
// kernel's, and that holds no code.
inline constexpr std::uint64_t kData = kCodeEnd, kDataPages = 4;
inline constexpr std::uint64_t kReadOnly = 0x1c000, kAbsent = 0x1d000, kKernelOnly = 0x1e000,
                               kNoExecute = 0x1f000, kDataEnd = 0x20000;
inline constexpr std::uint64_t kHandlers = 0x20000, kCounters = 0x22000, kResumeIndex = 0x22800,
                               kResume = 0x22900;
// One where the processor is x86-64-v3, zero otherwise: what the handlers may do depends on it.
inline constexpr std::uint64_t kIsV3 = 0x22880;
inline constexpr unsigned kResumes = 64;
// Linear addresses of other pages that are mapped a second time, where there is paging.
inline constexpr std::uint64_t kCodeAlias = 0x100000, kKernelCodeAlias = 0x110000,
                               kDataAlias = 0x132000;
// One page of code and data that INT moves to and fro between two places.
inline constexpr std::uint64_t kMoving = 0x130000, kMovingPlace = 0x150000;
// The device's registers, and addresses that nobody answers at.
inline constexpr std::uint64_t kRegisters = 0x140000, kNobody = 0x141000;
inline constexpr std::uint64_t kUserStack = 0x38000, kKernelStack = 0x40000;
// Interrupts that the program may raise: the first only counts, each of the others changes page
// tables or what may be done with vector registers, in its own way (handlers.cc).
inline constexpr unsigned kFirstCall = 0x30, kCalls = 15;
inline constexpr unsigned kAlarmVector = 0x20;
// Real mode's data segments begin here, so that they reach the code as well.
inline constexpr std::uint64_t kRealBase = kCode;
// Selectors, as TestCpu's tables have them.
inline constexpr std::uint16_t kUserCode64 = 0x2b, kUserCode32 = 0x1b, kUserData = 0x23,
                               kKernelCode = 0x08, kKernelCode32 = 0x60, kKernelData = 0x10;
}  // namespace stage

// A scene without code: the processor is about to execute at stage::kCode.
Scene make_stage(Setting setting, hypervisor::Processor processor = hypervisor::Processor::V2);
// Puts an address into the list of those that handlers of faults go on at.
void set_resume(Scene& scene, unsigned index, std::uint64_t address);

}  // namespace ringside::testing
