// Arbitrary bytes as a program, translated from the first execution of everything on, against the
// interpreter: both must be alike in every register, byte, count and access to a device, whether
// the run is stopped on its way or not.
//
// Byte 0: the setting, and whether the code begins at a page's end. Byte 1: how often interrupts
// come. Byte 2: how often the second run stops. Byte 3: what the registers have, and in its highest
// bit whether the processor of 64-bit code is x86-64-v3. The rest is code.
// Handlers of faults go on at places in it (tests/translator/stage.h).
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "translator/bare_twins.h"
#include "translator/first_difference.h"
#include "translator/refusals.h"
#include "translator/stage.h"

namespace {

using namespace ringside;
using namespace ringside::testing;

constexpr std::size_t kHead = 4, kMostCode = 3 * kPageSize;
constexpr InsnCount kInstructions{2500};

std::uint64_t mix(std::uint64_t value) { return (value + 1) * 0x9e3779b97f4a7c15; }

void fill_data(Scene& scene, std::span<const std::uint8_t> code) {
  for (std::uint64_t at = stage::kData; at < stage::kDataEnd; at += 8) {
    std::uint64_t value = mix(at);
    if (at % 32 == 0) value = at;                          // an address
    if (at % 32 == 8) value = code[at / 8 % code.size()];  // a small number
    if (at % 32 == 16) value = (value & 0xf) - 8;          // near zero
    std::memcpy(&scene.memory[at], &value, sizeof value);
  }
}

void set_registers(Scene& scene, Setting setting, std::uint8_t choice) {
  const std::uint64_t base = setting == Setting::Real16 ? stage::kRealBase : 0;
  const std::uint64_t values[] = {stage::kData - base + 0x100, 3,     stage::kReadOnly - base - 3,
                                  stage::kData - base + 0xffc, ~0ull, stage::kMoving - base,
                                  stage::kData - base + 0x1008};
  x86::CpuState& entry = scene.entry;
  for (std::size_t i = 0; i < entry.gpr.size(); ++i) {
    if (i == static_cast<std::size_t>(x86::Gpr::Rsp)) continue;
    entry.gpr[i] = values[(i + choice) % std::size(values)];
    if (mode_of(setting) != CodeMode::Code64) entry.gpr[i] &= 0xffffffff;
  }
  for (std::size_t i = 0; i < entry.fpu.vector.size(); ++i) {
    const std::uint64_t value = i % 3 == 0 ? mix(i) : 0x3ff0000000000000 + (mix(i) & 0xffff);
    std::memcpy(entry.fpu.vector[i].data(), &value, sizeof value);
    if (scene.processor == hypervisor::Processor::V3)
      std::memcpy(entry.fpu.vector[i].data() + 16, &value, sizeof value);
  }
  entry.fpu.mxcsr |= std::uint32_t{choice} << 13 & 0x6000;
}

Scene scene_of(std::span<const std::uint8_t> input) {
  const Setting setting = kSettings[input[0] % std::size(kSettings)];
  const bool is_v3 = is_64(setting) && input[3] >= 128;
  Scene scene = make_stage(setting, is_v3 ? hypervisor::Processor::V3 : hypervisor::Processor::V2);
  const auto code = input.subspan(kHead);
  const std::uint64_t start = stage::kCode + (input[0] >= 128 ? kPageSize - 24 : 0);
  std::memcpy(&scene.memory[start], code.data(), code.size());
  for (std::uint64_t place : {stage::kMovingPlace, stage::kMovingPlace + kPageSize}) {
    std::memcpy(&scene.memory[place], code.data(), std::min<std::size_t>(code.size(), kPageSize));
    scene.memory[place] ^= place == stage::kMovingPlace ? 0 : 8;
  }
  fill_data(scene, code);
  set_registers(scene, setting, input[3]);
  for (unsigned i = 0; i < stage::kResumes; ++i)
    set_resume(scene, i, start + i * code.size() / stage::kResumes);
  scene.entry.rip = setting == Setting::Real16 ? start - stage::kCode : start;
  for (std::uint64_t at = 30; at < kInstructions.value * 2; at += 30 + input[1] * 4u) {
    const bool masked = at % 7 == 0;
    scene.alarms.push_back(
        {masked ? Alarm::Kind::NonMaskable : Alarm::Kind::Interrupt, {at}, stage::kAlarmVector});
  }
  return scene;
}

// What the assembler refuses is interpreted, and alike for that reason.
void check_all_is_translated(const Refusals& refusals) {
  if (refusals.lines().empty()) return;
  std::fprintf(stderr, "%s\n", refusals.lines().front().c_str());
  std::abort();
}

// Stays on in every build, unlike assert.
void check(const Scene& scene, const std::string& difference) {
  if (difference.empty()) return;
  const MakeTwins make = [&] { return std::make_unique<BareTwins>(scene); };
  std::fputs(difference.c_str(), stderr);
  std::fputs(first_difference(make, {0}, kInstructions).c_str(), stderr);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= kHead || size > kHead + kMostCode) return 0;
  const std::span input(data, size);
  const Scene scene = scene_of(input);
  const Refusals refusals;
  BareTwins twins(scene);
  twins.run_to(kInstructions);
  check(scene, twins.difference());
  BareMachine stopped(scene, translated(64u << 10));
  const std::uint64_t stride = 1 + input[2] * 3u;
  for (std::uint64_t count = stride; count < kInstructions.value; count += stride) {
    if (!stopped.run_to({count})) break;
  }
  stopped.run_to(kInstructions);
  check(scene, machine_difference(twins.machine(Side::Interpreted), stopped));
  check_all_is_translated(refusals);
  return 0;
}
