// A machine with a past for unit tests: a toy guest and an engine that looks out for its
// breakpoints and watchpoints. Every state that the guest was in is kept, registers and memory, so
// that a journey is going through a list, and a test can say what is right at each position. One
// vCPU after the other executes an instruction. Owned by the test; one thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/toy_guest.h"
#include "ringside/time_travel.h"
#include "x86/register_table.h"

namespace ringside::debug::testing {

class FakeTimeTravel final : public hypervisor::TimeTravel {
 public:
  using Journey = hypervisor::Journey;
  using Arrival = hypervisor::Arrival;

  static constexpr std::uint64_t kMemory = 0x4000;  // of the guest's, from 0 on, has a past

  struct State {
    std::vector<x86::CpuState> cpus;
    std::vector<std::uint64_t> retired;
    std::vector<bool> active;
    std::vector<std::byte> memory;
    std::uint32_t next = 0;    // who executes the instruction that leads to the next state
    std::optional<Gva> store;  // that it does
    friend bool operator==(const State& a, const State& b) {
      return a.retired == b.retired && a.active == b.active && a.memory == b.memory &&
             std::equal(a.cpus.begin(), a.cpus.end(), b.cpus.begin(), b.cpus.end(), same_registers);
    }
    static bool same_registers(const x86::CpuState& a, const x86::CpuState& b) {
      for (std::size_t i = 0; i < x86::kRegisterCount; ++i) {
        const auto r = static_cast<x86::Register>(i);
        if (x86::get_register(a, r).bytes != x86::get_register(b, r).bytes) return false;
      }
      return true;
    }
  };

  FakeTimeTravel(ToyGuest& guest, FakeStoppoints& engine)
      : guest_(guest), engine_(engine), stands_(guest.vm.vcpu_count()) {
    engine_.physical_supported = engine_.filters = true;
    engine_.give_to(guest_.vm);
  }
  // After the guest was written, and before it runs.
  void begin() {
    for (unsigned i = 0; i < guest_.vm.vcpu_count(); ++i)
      guest_.vm.vcpu({i}).retired = InsnCount{0};
    states_ = {save()};
  }

  // ---- The guest runs, one instruction of each vCPU that is in it
  void run(unsigned rounds = 1) {
    for (unsigned round = 0; round < rounds; ++round) {
      for (std::uint32_t i = 0; i < guest_.vm.vcpu_count(); ++i)
        run_one(i);
    }
  }
  void run_one(std::uint32_t i) {
    hypervisor::testing::FakeVcpu& vcpu = guest_.vm.vcpu({i});
    if (!vcpu.in_guest()) return;
    wrong_ |= in_past();
    if (!std::exchange(stands_[i], 0) && is_breakpoint(vcpu.cpu.rip)) {
      const hypervisor::Exit hit = hypervisor::exit::HardwareBreakpoint{Gva{vcpu.cpu.rip}};
      if (wants_stop(i, hit)) {
        stands_[i] = 1;
        guest_.vm.happen({i}, hit);
        return;
      }
    }
    State& before = states_.back();
    before.next = i;
    before.store = store_of(vcpu.cpu);
    const bool traps = vcpu.has(hypervisor::Capability::MonitorTrap);
    (void)vcpu.set_capability(hypervisor::Capability::MonitorTrap, false);
    vcpu.retired = InsnCount{vcpu.retired->value + 1};
    guest_.run_one(i);
    (void)vcpu.set_capability(hypervisor::Capability::MonitorTrap, traps);
    const std::optional<hypervisor::Exit> watched = watch_hit(i, before.store);
    states_.push_back(save());
    position_ = present();
    if (watched) {
      guest_.vm.happen({i}, *watched);
    } else if (traps) {
      guest_.vm.happen({i}, hypervisor::exit::MonitorTrap{});
    }
  }

  // ---- hypervisor::TimeTravel
  bool in_past() const override { return position_ < present(); }
  std::optional<std::string> why_fixed() const override {
    if (!in_past()) return std::nullopt;
    return "the past cannot be changed";
  }
  Result<void> set_out(const Journey& journey) override {
    if (!refuses.empty()) return fail(ErrorCode::NotSupported, refuses);
    for (unsigned i = 0; i < guest_.vm.vcpu_count(); ++i) {
      wrong_ |= guest_.vm.vcpu({i}).in_guest() ||
                guest_.vm.vcpu({i}).has(hypervisor::Capability::MonitorTrap) ||
                guest_.vm.vcpu({i}).has(hypervisor::Capability::MaskInterrupts);
    }
    if (journey_) wrong_ = true;
    // With what a debugger has changed in the present.
    if (!in_past()) states_.back() = save();
    journey_ = journey;
    journeys.push_back(journey);
    for (std::size_t i = 0; i < stands_.size(); ++i)
      stands_[i] = static_cast<char>(journey.passes >> i & 1);
    return {};
  }
  std::optional<Result<Arrival>> advance() override {
    if (!journey_) {
      wrong_ = true;
      return fail(ErrorCode::BadRequest, "no journey");
    }
    for (unsigned done = 0; done < slice; ++done) {
      if (!breaks.empty() && steps_ == breaks_after) {
        journey_.reset();
        steps_ = 0;
        return fail(ErrorCode::System, std::exchange(breaks, {}));
      }
      ++steps_;
      const bool back = journey_->direction == Journey::Direction::Back;
      if (std::optional<Arrival> end = back ? go_back() : go_forward()) {
        journey_.reset();
        steps_ = 0;
        end->words = words;
        return *end;
      }
      if (engine_.filter != nullptr && engine_.filter->has_news()) break;
    }
    return std::nullopt;
  }
  Arrival give_up() override {
    if (!journey_) wrong_ = true;
    journey_.reset();
    ++given_up;
    return {Arrival::Reason::GivenUp, {}, std::nullopt, words};
  }
  Result<void> return_to_present() override {
    journey_.reset();
    if (in_past()) ++returns;
    load(present());
    return {};
  }

  // ---- For the test
  std::size_t position() const { return position_; }
  std::size_t present() const { return states_.size() - 1; }
  const State& state(std::size_t at) const { return states_[at]; }
  // The machine is as it was at its position, and was used as the interface allows.
  bool is_right() {
    bool right = !wrong_ && (!in_past() || states_[position_] == save());
    for (unsigned i = 0; i < guest_.vm.vcpu_count(); ++i)
      right = right && !(in_past() && guest_.vm.vcpu({i}).in_guest());
    return right;
  }
  bool is_travelling() const { return journey_.has_value(); }

  unsigned slice = 1;         // instructions in a call of advance()
  std::string refuses;        // why no journey begins
  std::string breaks;         // how the next one ends,
  unsigned breaks_after = 0;  // after so many instructions
  std::string words;          // with each arrival
  bool recorded = false;      // the present is where a recorded run ends
  std::vector<Journey> journeys;
  unsigned given_up = 0, returns = 0;

 private:
  State save() {
    State state;
    for (unsigned i = 0; i < guest_.vm.vcpu_count(); ++i) {
      hypervisor::testing::FakeVcpu& vcpu = guest_.vm.vcpu({i});
      state.cpus.push_back(vcpu.cpu);
      state.retired.push_back(vcpu.retired->value);
      state.active.push_back(vcpu.active());
    }
    for (std::uint64_t page = 0; page < kMemory; page += kPageSize) {
      const std::byte* const bytes = guest_.vm.memory().host(Gpa{page});
      state.memory.insert(state.memory.end(), bytes, bytes + kPageSize);
    }
    return state;
  }
  void load(std::size_t position) {
    position_ = position;
    const State& state = states_[position];
    for (unsigned i = 0; i < state.cpus.size(); ++i) {
      hypervisor::testing::FakeVcpu& vcpu = guest_.vm.vcpu({i});
      vcpu.cpu = state.cpus[i];
      vcpu.retired = InsnCount{state.retired[i]};
      if (state.active[i]) {
        guest_.vm.make_active({i});
      } else {
        guest_.vm.make_inactive({i});
      }
    }
    for (std::uint64_t page = 0; page < kMemory; page += kPageSize)
      std::memcpy(guest_.vm.memory().host(Gpa{page}), &state.memory[page], kPageSize);
  }

  bool is_breakpoint(std::uint64_t rip) const {
    return engine_.linear.contains(rip) || engine_.physical.contains(rip);
  }
  bool wants_stop(std::uint32_t i, const hypervisor::Exit& hit) {
    return engine_.filter == nullptr || engine_.filter->wants_stop({i}, hit);
  }
  std::optional<Gva> store_of(const x86::CpuState& cpu) {
    if (guest_.byte(cpu.rip) != opcode::kStosb) return std::nullopt;
    return Gva{cpu.reg(x86::Gpr::Rdi)};
  }
  // Asked after the store.
  std::optional<hypervisor::Exit> watch_hit(std::uint32_t i, std::optional<Gva> store) {
    for (const FakeStoppoints::Watch& watch : engine_.physical_watches) {
      if (!store || store->value - watch.address.value >= watch.size) continue;
      const hypervisor::Exit hit =
          hypervisor::exit::PhysicalWatchpoint{Gpa{watch.address.value}, watch.kind, false};
      if (wants_stop(i, hit)) return hit;
    }
    for (const FakeStoppoints::Watch& watch : engine_.watches) {
      if (!store || store->value - watch.address.value >= watch.size) continue;
      const hypervisor::Exit hit = hypervisor::exit::Watchpoint{watch.address, watch.kind};
      if (wants_stop(i, hit)) return hit;
    }
    return std::nullopt;
  }
  bool is_step(std::uint32_t i) const {
    return journey_->until != Journey::Until::Hit && journey_->vcpu.value == i;
  }

  std::optional<Arrival> go_back() {
    if (position_ == 0) return Arrival{Arrival::Reason::Begin, {}, std::nullopt, {}};
    const State& before = states_[position_ - 1];
    const std::uint32_t i = before.next;
    std::optional<hypervisor::Exit> hit = watch_hit(i, before.store);
    load(position_ - 1);
    const std::uint64_t rip = before.cpus[i].rip;
    if (!hit && is_breakpoint(rip)) {
      const hypervisor::Exit breakpoint = hypervisor::exit::HardwareBreakpoint{Gva{rip}};
      if (wants_stop(i, breakpoint)) hit = breakpoint;
    }
    if (hit) return Arrival{Arrival::Reason::Hit, {i}, hit, {}};
    if (is_step(i)) return Arrival{Arrival::Reason::Stepped, {i}, std::nullopt, {}};
    return std::nullopt;
  }
  std::optional<Arrival> go_forward() {
    if (position_ == present()) {
      const auto reason = recorded ? Arrival::Reason::End : Arrival::Reason::Present;
      return Arrival{reason, {}, std::nullopt, {}};
    }
    const State& before = states_[position_];
    const std::uint32_t i = before.next;
    const std::uint64_t rip = before.cpus[i].rip;
    if (!std::exchange(stands_[i], 0) && is_breakpoint(rip)) {
      const hypervisor::Exit hit = hypervisor::exit::HardwareBreakpoint{Gva{rip}};
      if (wants_stop(i, hit)) return Arrival{Arrival::Reason::Hit, {i}, hit, {}};
    }
    load(position_ + 1);
    if (const auto hit = watch_hit(i, before.store))
      return Arrival{Arrival::Reason::Hit, {i}, hit, {}};
    if (!is_step(i)) return std::nullopt;
    const std::uint64_t now = states_[position_].cpus[i].rip;
    const bool inside = journey_->until == Journey::Until::StepRange &&
                        now >= journey_->range_start.value && now < journey_->range_end.value;
    if (inside) return std::nullopt;
    return Arrival{Arrival::Reason::Stepped, {i}, std::nullopt, {}};
  }

  ToyGuest& guest_;
  FakeStoppoints& engine_;
  std::vector<char> stands_;  // by vCPU: it has left the guest at the breakpoint that it is at
  std::vector<State> states_;
  std::size_t position_ = 0;
  std::optional<Journey> journey_;
  unsigned steps_ = 0;
  bool wrong_ = false;  // it was used in a way that the interface does not allow
};

}  // namespace ringside::debug::testing
