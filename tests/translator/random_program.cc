#include "translator/random_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "differential/inputs.h"
#include "engine/soft/testing/vector_values.h"
#include "translator/code_writer.h"
#include "translator/random_units.h"

namespace ringside::testing {
namespace {

using differential::edge_value;
using soft::testing::Data;
using soft::testing::VectorValues;

class Author {
 public:
  // Half of the programs in which there is 64-bit code are x86-64-v3's.
  Author(Setting setting, std::uint64_t seed)
      : setting_(setting),
        processor_(is_64(setting) && seed % 2 != 0 ? Processor::V3 : Processor::V2),
        random_(seed * 8 + static_cast<std::uint64_t>(setting)) {
    scene_ = make_stage(setting, processor_);
    scene_.name =
        fmt::format("{} {}, seed {}", name_of(setting), hypervisor::name_of(processor_), seed);
  }

  Scene write() {
    fill_data();
    // Parts that cross from one page to the next, in no order in memory.
    write_part(mode_of(setting_), stage::kCode + kPageSize - 200 - random_() % 1200, 70);
    write_part(mode_of(setting_), stage::kCode + 3 * kPageSize - 100 - random_() % 800, 50);
    if (is_64(setting_))
      write_part(CodeMode::Code32, stage::kCode + 5 * kPageSize - 100 - random_() % 300, 30);
    write_moving();
    settle();
    set_entry();
    set_alarms();
    return std::move(scene_);
  }

 private:
  // ---- Data

  void fill_data() {
    VectorValues values(random_);
    const auto fill = [&](std::uint64_t from, std::uint64_t end) {
      for (std::uint64_t at = from; at < end; at += 16) {
        constexpr Data kKinds[] = {Data::Singles, Data::Doubles, Data::Integers, Data::Strings};
        if (one_in(random_, 3)) {
          const auto value = values.in_memory(kKinds[random_() % std::size(kKinds)]);
          std::memcpy(&scene_.memory[at], value.data(), 16);
        } else {
          for (unsigned half = 0; half < 16; half += 8) {
            const std::uint64_t value = edge_value(random_);
            std::memcpy(&scene_.memory[at + half], &value, 8);
          }
        }
      }
    };
    fill(stage::kData, stage::kDataEnd);
    fill(stage::kUserStack - kPageSize, stage::kUserStack + kPageSize);
    fill(stage::kKernelStack - kPageSize, stage::kKernelStack + kPageSize);
    fill(stage::kMovingPlace, stage::kMovingPlace + 2 * kPageSize);
  }

  void write_part(CodeMode mode, std::uint64_t at, unsigned units) {
    units_.begin_part(mode);
    CodeWriter writer(scene_.memory, mode, at);
    if (mode == mode_of(setting_)) starts_.push_back(at);
    const std::uint64_t most = at + 2000;  // parts do not meet
    for (unsigned i = 0; i < units && writer.at() < most; ++i)
      units_.append(writer);
    units_.append_last_jump(writer);
  }

  // The two places of the page that moves: a little different code, and then a return. On the way
  // it goes by a register to another place in the page, where the other place has other code.
  void write_moving() {
    const CodeMode mode = mode_of(setting_);
    constexpr unsigned kRax = 0;
    constexpr std::uint64_t kBehind = 0x80;
    for (unsigned i = 0; i < 2; ++i) {
      CodeWriter writer(scene_.memory, mode, stage::kMovingPlace + i * kPageSize);
      const auto write_some = [&] {
        for (std::uint64_t length = 1 + random_() % 3; length > 0; --length)
          writer.bytes(random_flag_writer(mode, random_).bytes);
      };
      write_some();
      writer.load(kRax, stage::kMoving + kBehind);
      writer.bytes({0xff, 0xe0});  // JMP RAX
      writer.move_to(stage::kMovingPlace + i * kPageSize + kBehind);
      write_some();
      writer.bytes({0xc3});
    }
  }

  // ---- What was left open

  std::optional<std::uint64_t> label_near(const OpenEnds::Branch& branch, std::int64_t reach) {
    const auto index = static_cast<std::int64_t>(branch.label) +
                       static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(reach));
    if (index < 0 || index >= static_cast<std::int64_t>(ends_.labels.size())) return std::nullopt;
    const OpenEnds::Label& label = ends_.labels[static_cast<std::size_t>(index)];
    return label.mode == branch.distance.mode ? std::optional(label.at) : std::nullopt;
  }
  std::uint64_t any_label(CodeMode mode) {
    for (;;) {
      const OpenEnds::Label& label = ends_.labels[random_() % ends_.labels.size()];
      if (label.mode != mode) continue;
      // Into the middle of an instruction, now and then.
      if (one_in(random_, 30)) return label.at + 1;
      if (mode == CodeMode::Code16 || !one_in(random_, 12)) return label.at;
      // The same code at another address.
      const std::uint64_t alias =
          !is_user(setting_) && one_in(random_, 2) ? stage::kKernelCodeAlias : stage::kCodeAlias;
      return label.at - stage::kCode + alias;
    }
  }

  void settle() {
    CodeWriter writer(scene_.memory, mode_of(setting_), 0);
    for (const OpenEnds::Branch& branch : ends_.branches) {
      std::optional<std::uint64_t> target;
      if (branch.where == OpenEnds::Branch::Where::Anywhere)
        target = any_label(branch.distance.mode);
      if (branch.where == OpenEnds::Branch::Where::Back) {
        const std::size_t back = std::min<std::size_t>(branch.label, 1 + random_() % 12);
        target = ends_.labels[branch.label - back].at;
      }
      if (branch.where == OpenEnds::Branch::Where::Near) target = label_near(branch, 8);
      const std::uint64_t next = branch.distance.place + branch.distance.size;
      if (!target || !writer.set_target(branch.distance, *target))
        writer.set_target(branch.distance, next);
    }
    for (const OpenEnds::Pointer& pointer : ends_.pointers) {
      CodeWriter at(scene_.memory, pointer.mode, pointer.place);
      const std::uint64_t target = any_label(pointer.mode);
      at.number(pointer.mode == CodeMode::Code16 ? target - stage::kCode : target, pointer.size);
    }
    for (OpenEnds::Change& change : ends_.changes)
      change.writer.set_address(change.place, changed_byte(change.what));
    for (unsigned i = 0; i < stage::kResumes; ++i) {
      const std::uint64_t at = i < starts_.size() ? starts_[i] : any_label(mode_of(setting_));
      set_resume(scene_, i, at);
    }
  }

  std::uint64_t changed_byte(OpenEnds::Change::What what) {
    std::uint64_t at = 0;
    if (what == OpenEnds::Change::What::Immediate && !ends_.immediates.empty()) {
      at = ends_.immediates[random_() % ends_.immediates.size()];
    } else if (what == OpenEnds::Change::What::Direction && !ends_.directions.empty()) {
      at = ends_.directions[random_() % ends_.directions.size()];
    } else if (what == OpenEnds::Change::What::Anything) {
      at = ends_.labels[random_() % ends_.labels.size()].at + random_() % 4;
    } else {
      return stage::kData + random_() % 256;
    }
    const bool by_alias = setting_ != Setting::Real16 && one_in(random_, 6);
    return by_alias ? at - stage::kCode + stage::kCodeAlias : at;
  }

  void set_entry() {
    x86::CpuState& entry = scene_.entry;
    const CodeMode mode = mode_of(setting_);
    units_.begin_part(mode);
    const std::uint64_t stack = entry.reg(x86::Gpr::Rsp);
    for (std::uint64_t& value : entry.gpr)
      value = one_in(random_, 2) ? units_.offset_of(units_.pick_target()) : edge_value(random_);
    if (mode != CodeMode::Code64) {
      for (std::uint64_t& value : entry.gpr)
        value &= 0xffffffff;
    }
    entry.reg(x86::Gpr::Rsp) = stack;
    entry.rip = mode == CodeMode::Code16 ? starts_[0] - stage::kCode : starts_[0];
    entry.rflags |= random_() & (x86::rflags::kArithmetic | x86::rflags::DF);
    if (is_user(setting_) && one_in(random_, 2)) entry.rflags |= x86::rflags::IOPL;
    VectorValues values(random_);
    for (auto& reg : entry.fpu.vector) {
      const Data kind = one_in(random_, 2) ? Data::Singles : Data::Doubles;
      const std::size_t end = processor_ == Processor::V3 ? reg.size() : 16;
      for (std::size_t half = 0; half < end; half += 16) {
        const auto value = values.vector(kind);
        std::memcpy(reg.data() + half, value.data(), 16);
      }
    }
    for (auto& st : entry.fpu.st)
      st = values.extended();
    entry.fpu.tag = static_cast<std::uint16_t>(one_in(random_, 2) ? 0 : random_());
    entry.fpu.mxcsr = static_cast<std::uint32_t>(0x1f80 | (random_() & 0x6000));
  }

  void set_alarms() {
    std::uint64_t at = 0;
    for (unsigned i = 0; i < 300; ++i) {
      at += 10 + random_() % 600;  // nanoseconds, of which an instruction takes one or a few
      Alarm alarm;
      alarm.at = {at};
      alarm.kind = one_in(random_, 6) ? Alarm::Kind::NonMaskable : Alarm::Kind::Interrupt;
      alarm.vector = stage::kAlarmVector;
      scene_.alarms.push_back(alarm);
    }
  }

  const Setting setting_;
  const Processor processor_;
  Random random_;
  OpenEnds ends_;
  RandomUnits units_{setting_, processor_, random_, ends_};
  Scene scene_;
  std::vector<std::uint64_t> starts_;
};

}  // namespace

Scene random_program(Setting setting, std::uint64_t seed) { return Author(setting, seed).write(); }

}  // namespace ringside::testing
