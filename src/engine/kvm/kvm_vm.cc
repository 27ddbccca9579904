#include "engine/kvm/kvm_vm.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine/kvm/entry/system.h"
#include "engine/kvm/host/kick.h"
#include "engine/kvm/kernel_controller_views.h"
#include "engine/kvm/kvm_memory.h"
#include "engine/kvm/kvm_setup.h"
#include "engine/kvm/timer_thread.h"
#include "engine/kvm/vcpu/halt_watch.h"
#include "engine/kvm/vcpu/vcpu.h"
#include "hypervisor/guest_memory.h"
#include "platform/halted_for_good.h"

namespace ringside::kvm {
namespace {

using hypervisor::VmEnd;

class KvmVm final : public KvmEngine,
                    public hypervisor::Breakpoints,
                    public hypervisor::SpareBreakpoints,
                    public hypervisor::Watchpoints,
                    public hypervisor::PhysicalWatchpoints,
                    public hypervisor::Catches,
                    public hypervisor::FilteredStops {
 public:
  KvmVm(hypervisor::GuestRam& ram, hypervisor::Platform& platform, const Facts& facts)
      : system_(ram, platform, facts),
        memory_(system_, vcpus_),
        timer_(system_),
        halt_watch_(system_, vcpus_) {
    system_.end = [this](VmEnd why) { end(std::move(why)); };
    system_.clock_changed = [this] { timer_.look_again(); };
    system_.halted = [this] { check_halted_for_good(); };
    system_.lost_power = [this] {
      {
        const std::lock_guard lock(sleep_lock_);
        if (with_power_ > 0) --with_power_;
      }
      wake_if_powerless();
    };
    system_.note_started = [this] {
      for (const auto& vcpu : vcpus_)
        vcpu->start_up().note_started();
    };
  }
  ~KvmVm() override {
    timer_.stop();
    halt_watch_.stop();
    for (const auto& vcpu : vcpus_)
      vcpu->thread().stop();
  }

  Result<void> begin(const x86::CpuState& entry, const Options& options) {
    TRY(create_machine(system_));
    TRY(choose_controllers(system_, options));
    kick_signal();
    system_.vcpus = options.vcpus;
    for (std::uint32_t i = 0; i < options.vcpus; ++i) {
      vcpus_.push_back(TRY(KvmVcpu::create(system_, {i}, options.vcpus)));
    }
    TRY(vcpus_[0]->begin(entry));
    for (const auto& vcpu : vcpus_)
      vcpu->start();
    timer_.start();
    if (system_.controllers) halt_watch_.start();
    return {};
  }

  // ---- Vm
  unsigned vcpu_count() const override { return static_cast<unsigned>(vcpus_.size()); }
  hypervisor::Vcpu& vcpu(VcpuId id) override { return vcpus_[id.value]->debugged(); }
  hypervisor::Memory& memory() override { return memory_; }
  void suspend(VcpuId id) override { vcpus_[id.value]->suspend(); }
  void resume(VcpuId id) override {
    follow_watched_memory();
    vcpus_[id.value]->resume();
  }
  std::optional<hypervisor::VcpuEvent> take_event() override {
    std::optional<hypervisor::VcpuEvent> event = system_.events.take();
    if (event) vcpus_[event->vcpu.value]->event_taken();
    return event;
  }
  int event_fd() const override { return system_.events.fd(); }
  const std::optional<VmEnd>& ended() const override {
    if (!seen_end_ && system_.ended) {
      for (const auto& vcpu : vcpus_)
        vcpu->await_out();
      const std::lock_guard lock(end_lock_);
      seen_end_ = end_;
    }
    return seen_end_;
  }
  void stop_instead_of_death(bool on) override {
    system_.stop_instead_of_death = on;
    if (!on) check_halted_for_good();
  }
  hypervisor::Breakpoints* breakpoints() override {
    return system_.facts.execute_slot ? this : nullptr;
  }
  hypervisor::SpareBreakpoints* spare_breakpoints() override {
    return system_.facts.execute_slot ? this : nullptr;
  }
  hypervisor::Watchpoints* watchpoints() override {
    return system_.facts.write_watch || system_.facts.page_watch ? this : nullptr;
  }
  hypervisor::PhysicalWatchpoints* physical_watchpoints() override {
    return system_.facts.page_watch ? this : nullptr;
  }
  hypervisor::ControllerViews* controller_views() override {
    return system_.controllers ? &controller_views_ : nullptr;
  }
  hypervisor::Catches* catches() override { return this; }
  hypervisor::FilteredStops* filtered_stops() override {
    return breakpoints() != nullptr || watchpoints() != nullptr ? this : nullptr;
  }

  // ---- Engine
  bool run_slice() override { return false; }
  VirtualTime now() const override { return system_.clock.now(); }
  Result<void> reset(const x86::CpuState& entry) override {
    for (const auto& vcpu : vcpus_) {
      if (vcpu->in_guest()) return fail(ErrorCode::Busy, "a vCPU is in the guest");
    }
    const EverybodyOut out(system_.gate);
    if (system_.controllers) TRY(system_.controllers->reset());
    {
      const std::lock_guard lock(sleep_lock_);
      with_power_ = 0;
      waking_.reset();
    }
    for (const auto& vcpu : vcpus_)
      TRY(vcpu->reset(entry));
    system_.events.clear();
    const std::lock_guard lock(system_.device_hits_lock);
    system_.device_hits.clear();
    system_.device_hits_waiting = false;
    return {};
  }

  // ---- Breakpoints and watchpoints
  // Who takes it away may destroy it: no thread asks it any more then.
  void set_filter(hypervisor::StopFilter* filter) override {
    system_.filter = filter;
    if (filter != nullptr) return;
    const EverybodyOut out(system_.gate);
  }
  Result<void> insert_breakpoint(Gva address) override {
    return change_stoppoints([&](kvm::Stoppoints& all) { return all.insert_breakpoint(address); });
  }
  Result<void> remove_breakpoint(Gva address) override {
    return change_stoppoints([&](kvm::Stoppoints& all) { return all.remove_breakpoint(address); });
  }
  Result<void> insert_watchpoint(Gva address, std::uint64_t size,
                                 hypervisor::WatchKind kind) override {
    const Facts& facts = system_.facts;
    const auto in_registers = [&] {
      return change_stoppoints(
          [&](kvm::Stoppoints& all) { return all.insert_watchpoint(address, size, kind); });
    };
    const bool registers_watch =
        kind == hypervisor::WatchKind::Write ? facts.write_watch : facts.access_watch;
    if (!facts.page_watch) {
      if (registers_watch) return in_registers();
      return fail(ErrorCode::NotSupported, "this host's KVM does not report watchpoints");
    }
    // The processor cannot tell reads from writes; pages can.
    if (registers_watch && kind != hypervisor::WatchKind::Read && in_registers()) return {};
    return system_.pages.insert({PageWatches::Space::Linear, address.value, size, kind},
                                translations());
  }
  Result<void> remove_watchpoint(Gva address, std::uint64_t size,
                                 hypervisor::WatchKind kind) override {
    const PageWatches::Watch watch{PageWatches::Space::Linear, address.value, size, kind};
    if (system_.pages.has(watch)) return system_.pages.remove(watch);
    return change_stoppoints(
        [&](kvm::Stoppoints& all) { return all.remove_watchpoint(address, size, kind); });
  }
  Result<void> insert_physical_watchpoint(Gpa address, std::uint64_t size,
                                          hypervisor::WatchKind kind) override {
    return system_.pages.insert({PageWatches::Space::Physical, address.value, size, kind}, {});
  }
  Result<void> remove_physical_watchpoint(Gpa address, std::uint64_t size,
                                          hypervisor::WatchKind kind) override {
    return system_.pages.remove({PageWatches::Space::Physical, address.value, size, kind});
  }
  // Those that KVM leaves the guest for anyhow. With the kernel's local APICs a HLT is none.
  bool offers(hypervisor::CatchKind kind) override {
    return kind == hypervisor::CatchKind::Port ||
           (kind == hypervisor::CatchKind::Halt && !system_.controllers);
  }
  Result<void> insert_catch(const hypervisor::Catch& wanted) override {
    if (!offers(wanted.kind))
      return fail(ErrorCode::NotSupported, "KVM does not leave the guest for that");
    system_.catches.push_back(wanted);
    return {};
  }
  Result<void> remove_catch(const hypervisor::Catch& wanted) override {
    const auto found = std::find(system_.catches.begin(), system_.catches.end(), wanted);
    if (found == system_.catches.end()) return fail(ErrorCode::NotFound, "no such catch");
    system_.catches.erase(found);
    return {};
  }
  unsigned count_spare_breakpoints() override {
    const std::lock_guard lock(system_.stoppoints_lock);
    return system_.stoppoints.slots(kvm::Stoppoints::Which::All).free();
  }
  Result<void> insert_spare_breakpoint(Gva address) override {
    return change_stoppoints(
        [&](kvm::Stoppoints& all) { return all.insert_spare_breakpoint(address); });
  }
  std::string describe_breakpoint(Gva) override { return "debug register"; }
  std::string describe_watchpoint(Gva address, std::uint64_t size,
                                  hypervisor::WatchKind kind) override {
    const PageWatches::Watch watch{PageWatches::Space::Linear, address.value, size, kind};
    if (!system_.pages.has(watch)) return "debug register";
    const std::size_t pages = system_.pages.pages_of(watch);
    if (pages == 0) return "page protection, not mapped yet";
    return fmt::format("page protection, {} {}", pages, pages == 1 ? "page" : "pages");
  }

  // ---- CpuPort
  void deadline_moved() override { timer_.look_again(); }
  void set_interrupt_pin(VcpuId id, bool level) override {
    vcpus_[id.value]->interrupts().set_pin(level);
  }
  void non_maskable_interrupt(VcpuId id) override { vcpus_[id.value]->interrupts().raise_nmi(); }
  void init(VcpuId id) override { vcpus_[id.value]->start_up().init(); }
  void start_up(VcpuId id, std::uint8_t vector) override {
    vcpus_[id.value]->start_up().start_up(vector);
  }
  void retry(VcpuId id) override { vcpus_[id.value]->devices().retry(); }
  // KVM has no address line 20 to gate; what relies on the wrap at 1 MiB runs on the software CPU.
  void set_a20(bool enabled) override {
    if (!enabled)
      log::info("kvm: the guest switched address line 20 off, which has no effect here");
  }
  bool interrupt_line(unsigned line, bool asserted) override {
    if (system_.controllers) system_.controllers->set_line(line, asserted);
    return system_.controllers.has_value();
  }
  bool interrupt_message(std::uint64_t address, std::uint32_t data) override {
    if (system_.controllers) system_.controllers->send_message(address, data);
    return system_.controllers.has_value();
  }
  void replace_timer(bool on) override {
    if (system_.controllers) system_.controllers->replace_timer(on);
  }
  void ram_written(Gpa address, std::uint64_t size) override {
    if (!system_.pages.any()) return;
    PageWatches::Hits hits;
    system_.pages.device_wrote(address, size, hits);
    if (hits.empty()) return;
    for (const auto& vcpu : vcpus_) {
      if (vcpu->is_this_thread()) return vcpu->pages().note(hits);
    }
    {
      const std::lock_guard lock(system_.device_hits_lock);
      system_.device_hits.insert(system_.device_hits.end(), hits.begin(), hits.end());
      system_.device_hits_waiting = true;
    }
    for (const auto& vcpu : vcpus_)
      vcpu->kick();
  }
  void guest_panicked(VcpuId id, const char* reason) override {
    if (system_.stop_instead_of_death && vcpus_[id.value]->is_this_thread()) {
      vcpus_[id.value]->devices().panic(reason);
    } else {
      end({VmEnd::Kind::Error, 0, reason, id});
    }
  }
  void fall_asleep() override {
    {
      const std::lock_guard lock(sleep_lock_);
      with_power_ = 0;
      for (const auto& vcpu : vcpus_)
        with_power_ += vcpu->id().value != 0 && vcpu->active() ? 1 : 0;
    }
    if (system_.controllers) {
      const Result<void> done = system_.controllers->reset();
      if (!done) log::error("kvm: sleep: {}", done.error().text());
    }
    for (const auto& vcpu : vcpus_) {
      if (vcpu->id().value != 0 && vcpu->active()) vcpu->start_up().lose_power();
    }
    vcpus_[0]->start_up().fall_asleep();
  }
  void wake(const x86::CpuState& entry) override {
    {
      const std::lock_guard lock(sleep_lock_);
      waking_ = entry;
    }
    wake_if_powerless();
  }
  void end(VmEnd why) override {
    {
      const std::lock_guard lock(end_lock_);
      if (end_) return;
      end_ = std::move(why);
      system_.ended = true;
    }
    for (const auto& vcpu : vcpus_)
      vcpu->kick();
    system_.events.wake();
  }

 private:
  // How the mappings of all vCPUs translate, while they are out of the guest.
  std::vector<PageWatches::Translate> translations() {
    std::vector<PageWatches::Translate> result;
    for (const auto& vcpu : vcpus_) {
      if (!vcpu->active()) continue;
      result.push_back([this, id = vcpu->id()](Gva address) -> std::optional<Gpa> {
        const Result<Gpa> found = hypervisor::translate(*this, id, address);
        if (!found) return std::nullopt;
        return *found;
      });
    }
    return result;
  }
  void follow_watched_memory() {
    if (!system_.pages.any()) return;
    for (const auto& vcpu : vcpus_) {
      if (vcpu->in_guest()) return;
    }
    const Result<void> done = system_.pages.follow(translations());
    if (!done) log::warning("a watchpoint does not follow its address: {}", done.error().text());
  }

  template <typename Change>
  Result<void> change_stoppoints(Change change) {
    {
      const std::lock_guard lock(system_.stoppoints_lock);
      TRY(change(system_.stoppoints));
    }
    ++system_.stoppoints_generation;
    for (const auto& vcpu : vcpus_)
      vcpu->kick();
    return {};
  }

  // The boot processor may start the others again only when they have lost their power.
  void wake_if_powerless() {
    std::optional<x86::CpuState> entry;
    {
      const std::lock_guard lock(sleep_lock_);
      if (with_power_ == 0) entry = std::exchange(waking_, std::nullopt);
    }
    if (entry) vcpus_[0]->start_up().wake(*entry);
  }

  // Every started vCPU sleeps with interrupts off: nothing can wake the guest again.
  // Where HLT does not end KVM_RUN, HaltWatch finds out.
  void check_halted_for_good() {
    if (system_.controllers || system_.stop_instead_of_death) return;
    const auto hope = [](const KvmVcpu& vcpu) { return vcpu.hope(); };
    if (hypervisor::halted_for_good(vcpus_, hope)) end(hypervisor::end_by_halt());
  }

  System system_;
  KvmMemory memory_;
  KernelControllerViews controller_views_{system_, vcpus_};
  TimerThread timer_;
  HaltWatch halt_watch_;
  std::vector<std::unique_ptr<KvmVcpu>> vcpus_;
  std::mutex sleep_lock_;
  unsigned with_power_ = 0;              // others than the boot processor; sleep_lock_
  std::optional<x86::CpuState> waking_;  // what it is to wake in; sleep_lock_
  mutable std::mutex end_lock_;
  std::optional<VmEnd> end_;               // end_lock_
  mutable std::optional<VmEnd> seen_end_;  // the main thread's
};

}  // namespace

Result<std::unique_ptr<KvmEngine>> create(hypervisor::GuestRam& ram, hypervisor::Platform& platform,
                                          const x86::CpuState& entry, const Options& options) {
  const Facts& facts = options.facts != nullptr ? *options.facts : host_facts();
  if (!facts.usable) return fail(ErrorCode::NotSupported, facts.reason);
  auto engine = std::make_unique<KvmVm>(ram, platform, facts);
  TRY(engine->begin(entry, options));
  return engine;
}

}  // namespace ringside::kvm
