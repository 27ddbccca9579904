// Scheduling: vCPUs take turns of a fixed number of instructions on the caller's thread. Whose turn
// it is and what is left of it are state; where a slice ends is not, so that a debugger's stops,
// the poll interval and the host's speed change nothing for the guest.
#include "engine/soft/soft_vm.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "engine/soft/cpu/board.h"
#include "engine/soft/loaded_state.h"
#include "engine/soft/power.h"
#include "engine/soft/run/run.h"
#include "engine/soft/sampling.h"
#include "engine/soft/soft_memory.h"
#include "engine/soft/soft_points.h"
#include "engine/soft/soft_vcpu.h"
#include "engine/soft/translate/translator.h"
#include "platform/halted_for_good.h"

namespace ringside::soft {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::VmEnd;

constexpr std::uint64_t kTurn = 5000;  // instructions of one vCPU before the next one's turn
// Instructions of all vCPUs before the main loop looks at its sockets: some 25 us.
constexpr std::uint64_t kSlice = 6144, kTranslatedSlice = 24576;

class SoftVm final : public SoftEngine {
 public:
  SoftVm(hypervisor::GuestRam& ram, hypervisor::Platform& platform, const x86::CpuState& entry,
         const Options& options)
      : board_(ram, platform), memory_(board_) {
    board_.processor = options.processor;
    for (std::uint32_t i = 0; i < options.vcpus; ++i) {
      vcpus_.push_back(std::make_unique<SoftVcpu>(VcpuId{i}, board_));
      Cpu& cpu = vcpus_.back()->cpu;
      cpu.reset();
      cpu.activity = i == 0 ? Activity::Running : Activity::WaitingForStartUp;
      board_.cpus.push_back(&cpu);
    }
    board_.entropy = options.seed;
    prepare_translator(options.translator);
    vcpus_[0]->is_active = true;
    vcpus_[0]->cpu.set_state(entry);
    board_.dead = [this](Cpu& cpu, std::string reason) { die(cpu, std::move(reason)); };
    board_.end = [this](VmEnd end) { this->end(std::move(end)); };
  }

  // ---- Vm
  unsigned vcpu_count() const override { return static_cast<unsigned>(vcpus_.size()); }
  hypervisor::Vcpu& vcpu(VcpuId id) override { return *vcpus_[id.value]; }
  hypervisor::Memory& memory() override { return memory_; }
  hypervisor::Breakpoints* breakpoints() override { return &points_; }
  hypervisor::PhysicalBreakpoints* physical_breakpoints() override { return &points_; }
  hypervisor::Watchpoints* watchpoints() override { return &points_; }
  hypervisor::PhysicalWatchpoints* physical_watchpoints() override { return &points_; }
  hypervisor::Catches* catches() override { return &points_; }
  hypervisor::FilteredStops* filtered_stops() override { return &points_; }
  const std::optional<VmEnd>& ended() const override { return ended_; }
  void stop_instead_of_death(bool on) override { stop_instead_of_death_ = on; }

  void suspend(VcpuId id) override {
    SoftVcpu& vcpu = *vcpus_[id.value];
    if (vcpu.is_in_guest) leave(vcpu, exit::Parked{});
  }

  void resume(VcpuId id) override {
    SoftVcpu& vcpu = *vcpus_[id.value];
    if (!vcpu.is_active || vcpu.is_in_guest) return;
    vcpu.is_in_guest = true;
    note_who_lets_run();
    resumed_ = true;
    vcpu.cpu.breakpoint_passed = std::exchange(vcpu.left_at_breakpoint, std::nullopt);
    if (vcpu.runs() && vcpu.cpu.activity == Activity::Dead) die(vcpu.cpu, kResumedDead);
  }

  std::optional<hypervisor::VcpuEvent> take_event() override {
    if (events_.empty()) return std::nullopt;
    hypervisor::VcpuEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

  // ---- Engine
  VirtualTime now() const override { return board_.now(); }

  // ---- Recordable
  hypervisor::Progress progress() const override { return board_.progress(); }
  void stop_at(std::optional<hypervisor::Progress> limit) override { stop_at_ = limit; }
  void tell_changes(std::function<void(const hypervisor::Change&)> listener) override {
    board_.changed = std::move(listener);
  }

  hypervisor::Supervision supervision() const override {
    hypervisor::Supervision result;
    for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
      const SoftVcpu& vcpu = *vcpus_[i];
      if (vcpu.is_active && !vcpu.is_in_guest) result.held |= std::uint64_t{1} << i;
      if (vcpu.is_in_guest && vcpu.debugger_masks) result.masked |= std::uint64_t{1} << i;
    }
    result.survives = stop_instead_of_death_;
    return result;
  }

  void follow_recording() override { board_.repeats = Board::Repeats::Held; }
  void impose(const hypervisor::Supervision& supervision) override {
    for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
      vcpus_[i]->is_held = (supervision.held >> i & 1) != 0;
      vcpus_[i]->run_masks = (supervision.masked >> i & 1) != 0;
      vcpus_[i]->update_mask();
    }
    run_survives_ = supervision.survives;
    for (const auto& vcpu : vcpus_) {
      if (vcpu->runs() && vcpu->cpu.activity == Activity::Dead) die(vcpu->cpu, kResumedDead);
    }
  }

  bool run_slice() override {
    if (ended_) return false;
    // Slices differ a little, as turns do: a debugger that stops a loop should not find it at the
    // same place each time.
    const std::uint64_t slice = translator_ != nullptr ? kTranslatedSlice : kSlice;
    std::uint64_t budget = slice + (++slices_ * 0x9e3779b97f4a7c15 >> 58);
    bool ran = false;
    board_.held = false;
    resumed_ = false;
    note_who_lets_run();
    while (budget > 0 && !ended_ && events_.empty() && !board_.held && !at_stop()) {
      if (board_.platform.has_work()) return work_a_part() || ran;
      if (board_.platform.next_event() <= now()) {
        board_.platform.run_events(now());
        board_.note_parts(1);
        if (at_stop()) break;
      }
      // A turn has begun when something has happened in it. A debugger that stops the vCPU before
      // that may then hold it, and the next turn is another's.
      const auto turn = std::pair(turn_, turn_left_);
      SoftVcpu* vcpu = next_runnable();
      if (vcpu == nullptr) break;
      const std::uint64_t before = vcpu->cpu.icount, parts_before = board_.parts_ever;
      const std::uint64_t total_before = samples() ? board_.retired() : 0;
      if (at_stop_count()) {
        budget -= std::min(budget, run_part_of(*vcpu));
      } else if (steps(*vcpu)) {
        budget -= std::min(budget, step_vcpu(*vcpu, budget));
      } else {
        budget -= std::min(budget, run_vcpu(*vcpu, budget));
      }
      if (samples()) sampling_.note(vcpu->cpu.id(), total_before, board_.retired());
      if (vcpu->cpu.icount == before && board_.parts_ever == parts_before)
        std::tie(turn_, turn_left_) = turn;
      ran |= !board_.held || vcpu->cpu.icount != before;
      if (steps(*vcpu) && !vcpu->step_range) break;
    }
    if (!ran && budget > 0 && !board_.held && !at_stop()) check_halted_for_good();
    return ran;
  }

  // A vCPU that was resumed may have a slice to itself only to find that the guest has ended.
  bool wants_slice() const override {
    return !ended_ && (resumed_ || !events_.empty() || (!board_.held && has_something_to_run()));
  }

  std::optional<VirtualTime> idle_until() const override {
    if (ended_ || !anyone_runs() || has_something_to_run()) return std::nullopt;
    if (board_.platform.has_work()) return std::nullopt;  // which awaits an input
    return board_.platform.next_event();
  }

  Result<void> reset(const x86::CpuState& entry) override {
    for (const auto& vcpu : vcpus_) {
      if (vcpu->is_in_guest) return fail(ErrorCode::Busy, "a vCPU is in the guest");
    }
    events_.clear();
    power_on(entry);
    return {};
  }

  void reset_under_way(const x86::CpuState& entry) override {
    power_on(entry);
    for (const auto& vcpu : vcpus_)
      vcpu->is_in_guest &= vcpu->is_active;
  }

  void advance_to(VirtualTime time) override {
    if (time.ns <= board_.time_base) return;
    board_.time_base = time.ns;
    if (board_.platform.next_event() <= time) board_.platform.run_events(time);
  }

  void visit_processors(StateVisitor& visitor) override {
    visit_schedule(visitor);
    for (std::uint32_t i = 0; i < vcpus_.size(); ++i)
      visit_vcpu({i}, visitor);
  }
  void visit_schedule(StateVisitor& visitor) override {
    visitor.fields(board_.time_base, turn_, turn_left_, board_.a20, board_.entropy);
  }
  void visit_vcpu(VcpuId id, StateVisitor& visitor) override {
    SoftVcpu& vcpu = *vcpus_[id.value];
    visitor.field(vcpu.is_active);
    vcpu.cpu.visit_state(visitor);
    // It was reported at another moment of the run.
    if (visitor.loading()) vcpu.left_at_breakpoint.reset();
  }
  bool set_progress(const hypervisor::Progress& progress) override {
    constexpr std::uint64_t kMostTime = std::uint64_t{1} << 62;
    bool possible = turn_ < vcpus_.size() && board_.time_base < kMostTime;
    for (const auto& vcpu : vcpus_)
      possible &= can_be(vcpu->cpu);
    if (!possible || board_.retired() != progress.instructions.value) return false;
    board_.parts_at = board_.retired();
    board_.parts = progress.parts;
    for (const hypervisor::RamSlot& slot : board_.ram.slots())
      board_.ram_written(slot.base, slot.size);
    return true;
  }
  void visit_state(StateVisitor& visitor) override {
    visit_processors(visitor);
    for (const hypervisor::RamSlot& slot : board_.ram.slots()) {
      visitor.bytes(std::as_writable_bytes(std::span(slot.host, slot.size)));
    }
    if (visitor.loading()) board_.code.clear();
  }

  // ---- Rewindable
  void keep_pages(hypervisor::PageKeeper& keeper) override {
    if (board_.kept_pages == nullptr) board_.kept_pages = std::make_unique<KeptPages>(board_.ram);
    board_.kept_pages->add(keeper);
    forget_write_paths();
  }
  void forget_keeper(hypervisor::PageKeeper& keeper) override {
    board_.kept_pages->remove(keeper);
    if (board_.kept_pages->empty()) board_.kept_pages.reset();
  }
  void begin_interval(hypervisor::PageKeeper& keeper) override {
    board_.kept_pages->begin_interval(keeper);
    forget_write_paths();
  }
  void page_replaced(Gpa page) override { board_.ram_written(page, kPageSize); }
  void set_parts(std::uint64_t parts) override {
    board_.parts = parts;
    board_.parts_at = board_.retired();
  }
  std::uint64_t steps_of(VcpuId id) const override {
    const Cpu& cpu = vcpus_[id.value]->cpu;
    return cpu.icount + cpu.parts_ever;
  }
  void set_steps(VcpuId id, std::uint64_t steps) override {
    Cpu& cpu = vcpus_[id.value]->cpu;
    cpu.parts_ever = steps - cpu.icount;
  }
  void travel(hypervisor::HitListener* listener) override {
    board_.listener = listener;
    for (const auto& vcpu : vcpus_) {
      vcpu->cpu.forget_stops();
      vcpu->update_mask();
    }
  }
  void pass_breakpoints(std::uint64_t vcpus) override {
    for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
      if ((vcpus >> i & 1) != 0) pass_breakpoint(vcpus_[i]->cpu);
    }
  }

  // ---- Observable
  void sample_every(std::uint64_t every, hypervisor::Sampler* sampler) override {
    sampling_.begin(every, sampler);
  }
  void listen_to_flow(hypervisor::FlowListener* who) override { board_.flow_listener = who; }

  // ---- CpuPort
  void deadline_moved() override { interrupt_running(); }
  void set_interrupt_pin(VcpuId id, bool level) override {
    Cpu& cpu = vcpus_[id.value]->cpu;
    cpu.interrupt_pin = level;
    if (level) cpu.leave_soon();
  }
  void non_maskable_interrupt(VcpuId id) override {
    Cpu& cpu = vcpus_[id.value]->cpu;
    cpu.nmi_pending = true;
    cpu.leave_soon();
  }
  void init(VcpuId id) override {
    Cpu& cpu = vcpus_[id.value]->cpu;
    if (&cpu != board_.running) return take_init(*vcpus_[id.value]);
    cpu.init_pending = true;
    cpu.yield_soon();  // where its turn ends is state, where a slice ends is not
  }
  void start_up(VcpuId id, std::uint8_t vector) override {
    SoftVcpu& vcpu = *vcpus_[id.value];
    Cpu& cpu = vcpu.cpu;
    if (cpu.activity != Activity::WaitingForStartUp) return;  // SDM 3A 8.4.4: ignored otherwise
    x86::Segment& code = cpu.seg(x86::SegmentName::Cs);
    code = x86::start_up_segment(code, vector);
    cpu.rip() = 0;
    cpu.activity = Activity::Running;
    cpu.update_mode();
    cpu.forget_fetch_page();
    if (vcpu.is_active) return;
    vcpu.is_active = true;
    if (!travels()) events_.push_back({id, exit::Started{}});
    interrupt_running();
  }
  void retry(VcpuId id) override {
    Cpu& cpu = vcpus_[id.value]->cpu;
    if (cpu.activity == Activity::WaitingForDevice) cpu.activity = Activity::Running;
  }
  void set_a20(bool enabled) override {
    if (board_.a20 == enabled) return;
    board_.a20 = enabled;
    for (Cpu* cpu : board_.cpus) {
      cpu->flush_tlb();
      cpu->leave_soon();
    }
  }
  // By a device, or a loader before the first instruction.
  void ram_written(Gpa address, std::uint64_t size) override {
    board_.ram_written(address, size);
    for (const Board::Watch& watch : board_.physical_watches) {
      if (watch.meets(address.value, size, true)) device_hit(watch);
    }
  }
  void ram_about_to_change(Gpa address, std::uint64_t size) override {
    board_.ram_about_to_change(address, size);
  }
  void guest_panicked(VcpuId id, const char* reason) override {
    if (travels()) return;
    Cpu& cpu = vcpus_[id.value]->cpu;
    if (!stop_instead_of_death_) {
      if (!run_survives_) end({VmEnd::Kind::Error, 0, reason, id});
    } else if (!cpu.pending_exit) {
      cpu.pending_exit = exit::GuestPanic{reason};
      cpu.leave_soon();
    }
  }
  void fall_asleep() override {
    for (std::uint32_t i = 1; i < vcpus_.size(); ++i)
      init({i});
    vcpus_[0]->cpu.activity = Activity::Asleep;
    interrupt_running();
  }
  void wake(const x86::CpuState& entry) override { soft::wake(vcpus_, entry); }
  void end(VmEnd end) override {
    if (!ended_ && !travels()) ended_ = std::move(end);
    interrupt_running();
  }

 private:
  void prepare_translator(const TranslatorOptions& options) {
    if (options.mode == TranslatorOptions::Mode::Off) return;
    auto made = Translator::create(board_, options.threshold, options.code_bytes, options.listener);
    if (!made) {
      log::warning("every instruction is interpreted: {}", made.error().text());
      return;
    }
    translator_ = *std::move(made);
    board_.translator = translator_.get();
  }

  void forget_write_paths() {
    for (Cpu* cpu : board_.cpus)
      cpu->tlb().forget_write_paths();
  }

  bool travels() const { return board_.listener != nullptr; }
  bool anyone_runs() const {
    return std::any_of(vcpus_.begin(), vcpus_.end(), [](const auto& vcpu) { return vcpu->runs(); });
  }
  bool has_something_to_run() const {
    if (board_.platform.has_work()) return anyone_runs() && !board_.platform.awaits_input();
    return std::any_of(vcpus_.begin(), vcpus_.end(),
                       [](const auto& vcpu) { return vcpu->runs() && can_wake(vcpu->cpu); });
  }
  bool steps(const SoftVcpu& vcpu) const {
    return vcpu.cpu.monitor_trap && !travels() && vcpu.is_in_guest;
  }
  // Where a run is repeated: one vCPU in the guest lets all of them get on.
  void note_who_lets_run() {
    if (board_.repeats == Board::Repeats::Nothing) return;
    board_.repeats = Board::Repeats::Held;
    for (const auto& vcpu : vcpus_) {
      vcpu->cpu.has_events = vcpu->is_in_guest;
      if (vcpu->is_in_guest) board_.repeats = Board::Repeats::Running;
    }
  }

  static constexpr const char* kResumedDead = "resumed after a triple fault";
  void power_on(const x86::CpuState& entry) {
    for (const hypervisor::RamSlot& slot : board_.ram.slots())
      board_.ram_written(slot.base, slot.size);
    soft::power_on(vcpus_, entry);
  }

  // A device's write is told of when the instruction that it happened in is complete, or at once if
  // there was none.
  void device_hit(const Board::Watch& watch) {
    if (board_.running != nullptr) {
      note_physical_hit(*board_.running, watch, true);
      return;
    }
    const auto somebody = std::find_if(vcpus_.begin(), vcpus_.end(), [](const auto& vcpu) {
      return vcpu->travels() ? vcpu->is_active : vcpu->is_in_guest;
    });
    if (somebody == vcpus_.end()) return;
    SoftVcpu& vcpu = **somebody;
    hypervisor::Exit hit = exit::PhysicalWatchpoint{Gpa{watch.address}, watch.kind, true};
    if (board_.judge(vcpu.cpu, hit, Board::HitIs::Next) == Board::Verdict::Exit)
      leave(vcpu, std::move(hit));
  }

  void interrupt_running() {
    if (board_.running != nullptr) board_.running->yield_soon();
  }

  // Not inlined: g++ 12 then warns of the exits that a known one is not.
  [[gnu::noinline]] void leave(SoftVcpu& vcpu, hypervisor::Exit why) {
    if (!vcpu.is_in_guest) return;  // where a run is repeated
    if (const auto* hit = std::get_if<exit::HardwareBreakpoint>(&why)) {
      vcpu.left_at_breakpoint = hit->address.value;
    } else if (vcpu.cpu.breakpoint_passed) {
      // Parked before it had a turn: the hit that was reported must not be reported again.
      vcpu.left_at_breakpoint = vcpu.cpu.breakpoint_passed;
    }
    vcpu.is_in_guest = false;
    note_who_lets_run();
    vcpu.step_range.reset();
    events_.push_back({vcpu.cpu.id(), std::move(why)});
  }

  // The vCPU whose turn it is, skipping those that cannot run now. Null when there is none, and
  // then nothing changes: how often the main loop asks must not move the turns.
  SoftVcpu* next_runnable() {
    const auto runnable = [](const SoftVcpu& vcpu) { return vcpu.runs() && can_wake(vcpu.cpu); };
    if (turn_left_ > 0 && runnable(*vcpus_[turn_])) return vcpus_[turn_].get();
    for (std::size_t i = 1; i <= vcpus_.size(); ++i) {
      const std::size_t next = (turn_ + i) % vcpus_.size();
      if (!runnable(*vcpus_[next])) continue;
      turn_ = static_cast<std::uint32_t>(next);
      // Turns differ a little, by a mix of the time: with a fixed length a loop that divides it
      // would show itself to the others at the same place for ever, with its lock held.
      turn_left_ = kTurn + (board_.time_base * 0x9e3779b97f4a7c15 >> 58);
      return vcpus_[next].get();
    }
    return nullptr;
  }

  void begin(Cpu& cpu) {
    board_.running = &cpu;
    board_.slice_start = cpu.icount;
    board_.surcharge = 0;
    if (!stop_at_) return;
    cpu.stop_icount = cpu.icount + until_stop();
    board_.stop_parts = stop_at_->parts;
  }

  // How many instructions there are before the run has to stop.
  std::uint64_t until_stop() const {
    if (!stop_at_) return ~std::uint64_t{0};
    const std::uint64_t total = board_.retired();
    return stop_at_->instructions.value - std::min(stop_at_->instructions.value, total);
  }
  bool at_stop() const { return stop_at_ && board_.progress() >= *stop_at_; }
  // No instruction may retire before it stops.
  bool at_stop_count() const { return until_stop() == 0; }

  bool samples() const { return sampling_.on() && !travels(); }
  std::uint64_t until_sample() const {
    return samples() ? sampling_.until_next(board_.retired()) : ~std::uint64_t{0};
  }

  // How many instructions there is time for before the next event of the machine.
  std::uint64_t until_event() const {
    const std::uint64_t left = board_.platform.next_event().ns - now().ns;
    constexpr std::uint64_t kEach = Board::kNanosecondsPerInstruction;
    return left / kEach + (left % kEach != 0 ? 1 : 0);
  }

  // Ends the turn's part that ran and gives its time, as a number of instructions.
  std::uint64_t finish(SoftVcpu& vcpu) {
    Cpu& cpu = vcpu.cpu;
    const std::uint64_t done = cpu.icount - board_.slice_start + board_.surcharge;
    board_.time_base += done * Board::kNanosecondsPerInstruction;
    board_.running = nullptr;
    cpu.stop_icount = ~std::uint64_t{0};
    turn_left_ = std::exchange(cpu.ends_turn, false) ? 0 : turn_left_ - std::min(turn_left_, done);
    if (cpu.init_pending) take_init(vcpu);
    if (cpu.pending_exit) {
      leave(vcpu, std::move(*cpu.pending_exit));
      cpu.pending_exit.reset();
    }
    return done;
  }

  std::uint64_t run_vcpu(SoftVcpu& vcpu, std::uint64_t budget) {
    const std::uint64_t count =
        std::min({budget, turn_left_, until_event(), until_stop(), until_sample()});
    begin(vcpu.cpu);
    run(vcpu.cpu, vcpu.cpu.icount + count);
    return std::max<std::uint64_t>(finish(vcpu), 1);
  }

  std::uint64_t run_part_of(SoftVcpu& vcpu) {
    begin(vcpu.cpu);
    run_part(vcpu.cpu);
    return std::max<std::uint64_t>(finish(vcpu), 1);
  }

  // One step, or as many as stay within the range of the vCPU.
  std::uint64_t step_vcpu(SoftVcpu& vcpu, std::uint64_t budget) {
    Cpu& cpu = vcpu.cpu;
    const std::uint64_t most =
        std::min({budget, turn_left_, until_event(), until_stop(), until_sample()});
    cpu.run_until = cpu.icount + most;
    begin(cpu);
    bool stepped = false, goes_on = false;
    // A step that only delivers an exception retires nothing, and its handler may be the next.
    std::uint64_t steps = 0;
    do {
      ++steps;
      stepped = step(cpu);
      goes_on = stepped && vcpu.step_range && vcpu.step_range->contains({cpu.rip()}) &&
                cpu.activity == Activity::Running && !cpu.pending_exit;
    } while (goes_on && !stops_at_breakpoint(cpu) && cpu.icount < cpu.run_until && steps < most);
    if (stepped && !goes_on && !cpu.pending_exit) cpu.pending_exit = exit::MonitorTrap{};
    return std::max(finish(vcpu), steps);
  }

  void take_init(SoftVcpu& vcpu) {
    Cpu& cpu = vcpu.cpu;
    cpu.init_pending = false;
    cpu.reset(Cpu::ResetKind::Init);
    // After INIT the boot processor starts at the reset vector, the others wait (SDM 3A 8.4.2).
    cpu.activity = cpu.id().value == 0 ? Activity::Running : Activity::WaitingForStartUp;
  }

  void die(Cpu& cpu, std::string reason) {
    cpu.activity = Activity::Dead;
    cpu.leave_soon();
    if (travels()) return;
    if (stop_instead_of_death_) {
      SoftVcpu& vcpu = *vcpus_[cpu.id().value];
      if (&cpu == board_.running) {
        cpu.pending_exit = exit::Dead{std::move(reason)};
      } else {
        leave(vcpu, exit::Dead{std::move(reason)});
      }
      return;
    }
    if (!run_survives_) end({VmEnd::Kind::TripleFault, 0, std::move(reason), cpu.id()});
  }

  // One part of a device's work, and then the main loop looks at its sockets.
  bool work_a_part() {
    if (!anyone_runs() || board_.platform.awaits_input()) return false;
    if (board_.platform.work() == hypervisor::WorkPart::Done) board_.note_parts(1);
    return true;
  }

  void check_halted_for_good() {
    if (stop_instead_of_death_ || travels()) return;
    if (hypervisor::halted_for_good(vcpus_, std::mem_fn(&SoftVcpu::hope)))
      end(hypervisor::end_by_halt());
  }

  Board board_;
  std::unique_ptr<Translator> translator_;  // or null
  SoftMemory memory_;
  SoftPoints points_{board_};
  Vcpus vcpus_;
  std::deque<hypervisor::VcpuEvent> events_;
  std::optional<VmEnd> ended_;
  std::optional<hypervisor::Progress> stop_at_;
  bool stop_instead_of_death_ = false;
  bool run_survives_ = false;  // the run that is repeated did so
  bool resumed_ = false;       // since the last slice
  std::uint32_t turn_ = 0;
  std::uint64_t turn_left_ = kTurn;
  std::uint64_t slices_ = 0;  // not state
  Sampling sampling_;
};

}  // namespace

Result<void> can_translate() { return Translator::works_here(); }

std::unique_ptr<SoftEngine> create(hypervisor::GuestRam& ram, hypervisor::Platform& platform,
                                   const x86::CpuState& entry, const Options& options) {
  return std::make_unique<SoftVm>(ram, platform, entry, options);
}

}  // namespace ringside::soft
