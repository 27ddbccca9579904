#include "cli/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "cli/against.h"
#include "cli/monitor/hash_command.h"
#include "cli/monitor/linux_code.h"
#include "cli/monitor/linux_commands.h"
#include "cli/monitor/monitor_commands.h"
#include "cli/monitor/save_trace.h"
#include "cli/monitor/time_commands.h"
#include "cli/run.h"
#include "cli/run/prepare.h"
#include "cli/start/disks.h"
#include "cli/start/files.h"
#include "cli/start/firmware_pair.h"
#include "cli/start/restored.h"
#include "cli/start/rights.h"
#include "cli/terminal/notice.h"
#include "cli/terminal/progress.h"
#include "cli/vcpu_state.h"
#include "machine/boot/elf_image.h"
#include "time/record/machine_hash.h"

namespace ringside::cli {
namespace {

bool uses_stdio(const std::optional<GdbOption>& gdb) {
  return gdb && std::holds_alternative<transport::StdioEndpoint>(gdb->endpoint);
}

// A kernel that is an ELF file has symbols itself; of another one `run` may have found them.
std::string symbols_in(const Payload& payload, const Options& options) {
  if (options.run) return options.run->symbols;
  return machine::is_elf(payload.kernel.bytes()) && !payload.was_packed ? options.kernel : "";
}

}  // namespace

// A debugger that started us through a pipe shares its terminal with us: its Ctrl-C is not ours.
Program::Program(const Options& options, sandbox::Outside& outside, companions::Sockets companions,
                 Images connected, const time::SavedMachine* saved, hypervisor::GuestRam ram,
                 transport::Poller poller)
    : options_(options),
      outside_(outside),
      connected_(std::move(connected)),
      saved_(saved),
      poller_(std::move(poller)),
      signals_(poller_, uses_stdio(options.gdb) ? InterruptKey::Ignored : InterruptKey::Ends),
      ram_(std::move(ram)),
      lines_(poller_, std::move(companions), options_.shares, options_.vsock.has_value(),
             admission_by_vsock(), lines_to_guest()) {
  signals_.end_at_once(true);
}

Program::~Program() = default;

Result<void> Program::open_disks() {
  disks_ = TRY(open_images(options_, std::exchange(connected_, {}), Access::AsGiven));
  if (saved_ != nullptr) TRY(check_sizes(options_, disks_, saved_->options().disks));
  if (history_limit() == 0) return {};
  for (std::shared_ptr<machine::BlockBackend>& disk : disks_) {
    past_disks_.push_back(std::make_shared<time::PastDisk>(disk, past_disks_.size()));
    disk = past_disks_.back();
  }
  return {};
}

// A debugger that has started us through a pipe is there already, and does not wait for a kernel to
// be read and unpacked.
Result<void> Program::greet() {
  if (!uses_stdio(options_.gdb)) return {};
  debugger_ = TRY(DebugEndpoint::open(to_string(options_.gdb->endpoint), &poller_, admission()));
  if (history_limit() != 0) debugger_->expect_time_travel();
  debugger_->expect_guest_knowledge();
  return serve_greeter();
}

Result<void> Program::serve_greeter() {
  if (debugger_ == nullptr || engine_ != nullptr) return {};
  TRY(poller_.wait(std::chrono::nanoseconds(0)));
  debugger_->settle();
  return {};
}

Result<void> Program::load() {
  TRY(open_directories());
  TRY(open_disks());
  if (saved_ != nullptr) {
    firmware_kernel_ = TRY(read_saved_kernel(options_, while_loading()));
    return saved_->load_memory(ram_, while_loading());
  }
  Payload payload = TRY(read_payload());
  if (wants_journal()) {
    payload_hash_ = hash_of(payload);
    content_ = TRY(content_of(disks_, payload_hash_, options_, while_loading()));
  }
  if (!options_.bios.empty()) {
    firmware_size_ = payload.firmware.size();
    video_bios_ = payload.video_bios;
    boot_ = TRY(machine::boot_firmware(options_.bios, payload.firmware.bytes(),
                                       size_of_variables(options_, disks_), ram_));
    TRY(say_odd_pair(payload.firmware.bytes()));
    keep_kernel_for_firmware(std::move(payload));
    return {};
  }
  boot_ = TRY(machine::boot(payload.request, ram_));
  notice("kernel: {}", boot_.format);
  gdb_files_ = gdb_files(symbols_in(payload, options_));
  if (!boot_.is_linux || options_.append.find("console=") != std::string::npos) return {};
  for (const auto& [stream, name] :
       {std::pair(&options_.serial, "ttyS0"), std::pair(&options_.console, "hvc0")}) {
    if (std::holds_alternative<StdioStream>(*stream))
      notice("kernel: without --append 'console={}' Linux says nothing on this terminal", name);
  }
  return {};
}

Result<void> Program::say_odd_pair(std::span<const std::byte> firmware) const {
  FirmwareVariables variables;
  std::array<std::byte, kVolumeHeader> beginning{};
  if (options_.firmware_vars) {
    variables = {options_.firmware_vars->path, disks_.back()->size(), beginning};
    if (!machine::read_all(*disks_.back(), 0, beginning))
      return fail(ErrorCode::System, "cannot read --firmware-vars");
  }
  const std::string odd = odd_pair(options_.bios, firmware, variables);
  if (!odd.empty()) notice("{}", odd);
  if (!options_.kernel.empty() && !is_uefi(firmware)) {
    notice("firmware '{}' is not UEFI's, and may not look for a KERNEL: SeaBIOS does not",
           options_.bios);
  }
  return {};
}

// It is read as long as the machine is there; the rest of the payload is in memory by now.
void Program::keep_kernel_for_firmware(Payload payload) {
  payload.firmware = {};
  firmware_kernel_ = std::move(payload);
}

Result<Payload> Program::read_payload() {
  return cli::read_payload(options_, outside_, while_loading());
}

Meanwhile Program::while_loading() {
  return [this, progress = Progress()](const Stage& stage) mutable -> Result<void> {
    TRY(serve_greeter());
    progress.at(stage);
    if (signals_.received().empty()) return {};
    return fail(ErrorCode::System, fmt::format("ended by {}", signals_.received()));
  };
}

Result<void> Program::build() {
  machine::MachineOptions machine;
  machine.vcpus = options_.cpus;
  machine.debug_exit = options_.debug_exit;
  machine.test_device = options_.test_device;
  give_images(machine, options_, disks_);
  machine.virtio_bus = options_.virtio_bus;
  machine.has_firmware = has_firmware();
  if (machine.has_firmware) machine.firmware_kernel = kernel_for_firmware(firmware_kernel_);
  companions::add_devices(options_.network.has_value(), options_.shares, options_.vsock, machine);
  lines_.connect(machine);
  // The main thread may sleep while vCPUs run on their own.
  machine.input_taken = machine.sleep_changed = [this] { poller_.wake(); };
  machine.text_card = has_text_card();
  machine.video_bios = video_bios_;
  machine.text_was_lost = [this, told = false]() mutable {
    if (!std::exchange(told, true) && !in_past())
      notice("guest: it writes to a VGA text screen, which --vga text would show");
  };
  machine.serial[0] = TRY(sink(options_.serial, serial_bytes_));
  if (options_.rng == Rng::Host) machine.random.emplace();
  if (has_console())
    machine.console = machine::ConsoleDevice{TRY(sink(options_.console, console_bytes_))};
  machine.debugcon = TRY(sink(options_.debugcon, serial_bytes_));
  if (has_debugcon() && !machine.debugcon)
    machine.debugcon = machine::ByteSink([](std::span<const std::byte>) {});
  if (has_guest_gdb()) {
    machine.guest_gdb = true;
    machine.guest_gdb_wants_client = [this] {
      if (!in_past()) notice("guest gdb: the guest waits for a debugger");
    };
    machine.guest_gdb_out = sink_into(guest_gdb_bytes_);
  }
  Journal journal = TRY(open_journal());
  machine.start_time = journal.start.date;
  machine_ = std::make_unique<machine::Machine>(ram_, std::move(machine));
  TRY(serve_greeter());  // before KVM is probed
  engine_ = TRY(start_engine(options_, ram_, *machine_, boot_.entry, journal.start));
  processor_ = journal.start.processor;
  machine_->connect(engine_->cpus(), engine_->controller_views());
  if (saved_ != nullptr) {
    TRY(saved_->load_state(*engine_->recordable(), *machine_));
    // Who was connected then is not here.
    machine_->input(machine::GuestGdbConnection{false});
    machine_->input(machine::VsockInput{});
    notice("{}", describe_restored(options_.restore, saved_->options()));
  }
  timeline_ = std::make_unique<time::Timeline>(*engine_, *machine_, options_.pace);
  if (journal.writer) timeline_->record(std::move(*journal.writer));
  if (journal.reader) {
    timeline_->replay(std::move(*journal.reader), [this] { return reset_as_recorded(); });
  }
  if (timeline_->has_journal()) timeline_->check_memory_too(ram_);
  keep_history();
  debug::ServerOptions server;
  server.time_travel = travels_.get();
  server.wait = options_.gdb && options_.gdb->wait;
  server.on_kill = options_.on_kill;
  add_monitor_commands(server);
  server.console = [](std::string_view text) {
    while (text.ends_with('\n'))
      text.remove_suffix(1);
    notice("debugger: {}", text);
  };
  // A debugger that comes while the guest sleeps finds virtual time where it should be.
  server.hooks.client_acts = [this] { timeline_->end_wait(time::Timeline::Clock::now()); };
  server.hooks.guest_died = [this](VcpuId vcpu) { dump_dead(vcpu); };
  if (travels_) {
    server.hooks.guest_stopped = [this] { guest_is_stopped_ = true; };
    server.hooks.guest_resumed = [this] { guest_is_stopped_ = false; };
  }
  // From here on there is something to leave in order: sockets with names, a terminal's mode.
  signals_.end_at_once(false);
  if (debugger_ == nullptr) {
    const std::string place = options_.gdb ? to_string(options_.gdb->endpoint) : "";
    debugger_ = TRY(DebugEndpoint::open(place, &poller_, admission()));
  }
  hypervisor::Vm* vm = engine_.get();
  const auto hold_by = [&vm](std::unique_ptr<hypervisor::HoldableVm>& holdable) {
    holdable = std::make_unique<hypervisor::HoldableVm>(*vm);
    vm = holdable.get();
  };
  if (has_keyboard()) hold_by(stopped_by_key_);
  if (options_.qmp) hold_by(holdable_);
  return debugger_->set_vm(*vm, std::move(server));
}

// What can fail about a reset comes before anything of the machine is changed.
Result<Payload> Program::read_payload_again() {
  if (saved_ != nullptr) {
    return fail(ErrorCode::NotSupported,
                "a restored machine has no kernel to start again with; --restore begins anew where "
                "it was saved");
  }
  Payload payload = TRY(read_payload());
  if (options_.bios.empty()) {
    hypervisor::GuestRam rehearsal = TRY(create_memory(options_, nullptr));
    TRY(machine::boot(payload.request, rehearsal));
  } else if (payload.firmware.size() != firmware_size_) {
    return fail(ErrorCode::BadRequest,
                fmt::format("firmware '{}' has another size now", options_.bios));
  }
  if (timeline_->has_journal() && hash_of(payload) != payload_hash_) {
    return fail(ErrorCode::BadRequest,
                "what the guest was loaded from has changed, and a journal is of one content");
  }
  return payload;
}

// As at power-on, but time goes on and RAM that nothing is loaded into keeps what it has. The
// vCPUs are the caller's.
Result<void> Program::power_on(Payload payload) {
  machine_->reset();
  if (options_.bios.empty()) {
    boot_ = TRY(machine::boot(payload.request, ram_));
  } else {
    machine::shadow_firmware(payload.firmware.bytes(), ram_);
    machine_->set_firmware_kernel(kernel_for_firmware(payload));
    keep_kernel_for_firmware(std::move(payload));
  }
  return {};
}

Result<std::string> Program::reset_machine() {
  TRY(refuse_while_still());
  Payload payload = TRY(read_payload_again());
  recordings_->end_all("the machine was reset");
  TRY(timeline_->note(time::MachineReset{}));
  TRY(power_on(std::move(payload)));
  TRY(engine_->reset(boot_.entry));
  debugger_->machine_was_reset();
  if (travels_) travels_->begin();
  if (qmp_) qmp_->tell(qmp::Reset{});
  return "The machine is as at power-on.\n";
}

// In a replay, whatever its debugger does: the guest may run.
Result<void> Program::reset_as_recorded() {
  Payload payload = TRY(read_payload_again());
  recordings_->end_all("the machine was reset");
  TRY(power_on(std::move(payload)));
  engine_->recordable()->reset_under_way(boot_.entry);
  past_is_over_ = true;
  return {};
}

std::uint64_t Program::history_limit() const {
  constexpr std::uint64_t kUsual = 256u << 20;
  if (options_.engine == EngineChoice::Kvm) return 0;
  return options_.history.value_or(options_.gdb ? kUsual : 0);
}

void Program::keep_history() {
  if (history_limit() == 0 || engine_->rewindable() == nullptr) return;
  timeline_->keep_log();
  history_ = std::make_unique<time::History>(
      time::HistorySubjects{*engine_, *machine_, ram_, past_disks_}, history_limit());
  travels_ = std::make_unique<time::Travels>(*engine_, *timeline_, *history_);
  travels_->begin();
}

void Program::add_monitor_commands(debug::ServerOptions& server) {
  const MonitorSubjects subjects{*machine_,
                                 ram_,
                                 options_.cpus,
                                 [this] { return fmt::format("engine: {}", engine_->name()); },
                                 [this] { return reset_machine(); },
                                 [this] { return wake_guest(); },
                                 [this](const time::Input& input) -> Result<void> {
                                   TRY(refuse_while_still());
                                   return timeline_->note(input);
                                 }};
  // What was added since the last call goes under this heading of `help`.
  auto group_as = [&server, first = std::size_t{0}](std::string_view heading) mutable {
    for (; first < server.commands.size(); ++first)
      server.commands[first].group = heading;
  };
  add_machine_commands(server, subjects);
  group_as("The machine");
  const char* const why_not = engine_->rewindable() == nullptr
                                  ? "there is no past on KVM, because no run of it can be repeated"
                                  : "nothing is kept of the past; see --history";
  add_time_commands(server,
                    {*engine_, travels_.get(), why_not, [this] { debugger_->machine_was_reset(); },
                     [this] { return guest_is_stopped_; }, [this] { return why_no_branch(); },
                     [this] { lines_.forget_connections(); }, [this] { return why_still(); }});
  group_as("The run and its past");
  server.why_still = [this] { return why_still(); };
  server.restart = [this]() -> Result<void> {
    TRY(reset_machine());
    return {};
  };
  Folder& files = folder(sandbox::FolderOf::Files);
  server.commands.push_back(save_command(save_subjects(), files));
  server.commands.push_back(dump_command([this] { return core_subject({0}); }, files));
  server.commands.push_back(
      {"gdbserver",
       "ENDPOINT",
       "Serves debuggers at ENDPOINT from now on, as -G does from the start (and SIGUSR1 at\n"
       "127.0.0.1:1234, or any free port). Once, where nothing listens yet.",
       [this](std::string_view endpoint) -> std::string {
         if (endpoint.empty())
           return "gdbserver: name an endpoint, such as 1234, HOST:1234 or unix:PATH\n";
         const auto where = begin_to_listen(endpoint);
         return where ? "gdb: listening on " + *where + "\n"
                      : "gdbserver: " + where.error().text() + "\n";
       },
       {},
       true});
  server.save_trace = [&files](const std::string& name, const auto& read) {
    return save_trace(files, name, read);
  };
  group_as("Files and endpoints");
  add_linux(server, *engine_, files);
  group_as("Linux in the guest");
  recordings_ =
      std::make_unique<Recordings>(*engine_, files, [this] { return linux_code(*engine_); });
  recordings_->add_commands(server);
  group_as("What the guest does, in a file");
  if (engine_->recordable() == nullptr) return;
  server.commands.push_back(hash_command(*engine_->recordable(), *machine_, ram_));
  group_as("The run and its past");
}

void Program::note(const Result<void>& result) {
  if (!result && !failure_) failure_ = result.error();
}

companions::DeviceLines::Guest Program::lines_to_guest() {
  return {[this] { return in_past(); },
          [this] { return !in_past() && machine_->network_has_room(); },
          [this](machine::NetworkInput frame) { note(timeline_->input(std::move(frame))); },
          [this](machine::ShareInput answer) { note(timeline_->input(std::move(answer))); },
          [this] { return !in_past() && machine_->vsock_has_room(); },
          [this](machine::VsockInput packet) { note(timeline_->input(std::move(packet))); },
          [this] {
            machine_->output_has_room();
            poller_.wake();  // the software CPU has something to run
          },
          [this] { outside_.remove_socket(options_.vsock->path); }};
}

void Program::say_how_to_attach() const {
  if (const auto line = gdb_line(debugger_->where(), gdb_files_)) notice("gdb: type  {}", *line);
}

void Program::say_where_debugger_is() const {
  say_where({"gdb", debugger_->where(), debugger_->reachable_from_outside(), options_.gdb_allow,
             debugger_->token()});
  const bool is_tcp =
      debugger_->where().find(':') != std::string::npos && !debugger_->where().starts_with("unix:");
  if (options_.network && options_.replay.empty() && is_tcp) {
    notice(
        "gdb: the guest can connect there as well, by its network (10.0.2.2); it reaches no "
        "-G unix:PATH");
  }
  if (options_.run) say_how_to_attach();
}

// What a slice brought goes out, and what waits for room in the machine goes in.
void Program::settle() {
  debugger_->settle();
  give_random_numbers();
  settle_streams();
  say_when_silent();
  tell_of_sleep();
  obey_keys();
  lines_.update();
  if (qmp_) qmp_->settle();
}

Slice Program::run_slice() {
  note(timeline_->prepare_slice());
  if (travels_ && std::exchange(past_is_over_, false)) travels_->begin();
  const bool travelling = travels_ && travels_->busy();
  const bool ran = !failure_ && !travelling && engine_->run_slice();
  if (ran) note(timeline_->slice_over());
  if (ran && travels_) travels_->slice_over();
  settle();
  return ran ? Slice::Ran : Slice::Idle;
}

Result<int> Program::run_to_end() {
  debugger_->start();
  for (;;) {
    const Slice slice = run_slice();
    if (signals_.take_user_signal()) listen_at_a_signal();
    if (failure_) {
      recordings_->end_all("the machine cannot go on");
      debugger_->announce_end(kErrorStatus);  // a client that waits would know no status
      debugger_->settle();
      return fail(*failure_);
    }
    if (engine_->ended()) return finish(report_end(*engine_->ended()), time::JournalEnd::By::Guest);
    if (const auto status = ended_from_outside())
      return finish(*status, time::JournalEnd::By::Outside);
    if (debugger_->is_talking()) {
      TRY(poller_.wait(std::chrono::nanoseconds(0)));
    } else {
      const bool has_work = debugger_->has_work() || (qmp_ && qmp_->has_work());
      auto wait = time_to_wait(slice, *engine_, has_work, *timeline_, time::Timeline::Clock::now());
      const auto no_longer_than = [&wait](std::chrono::nanoseconds most) {
        wait = std::min(wait.value_or(most), most);
      };
      if (const auto look = debugger_->time_to_look()) no_longer_than(*look);
      if (display_) no_longer_than(display_->time_to_look(TextDisplay::Clock::now()));
      TRY(poller_.wait(wait));
      timeline_->end_wait(time::Timeline::Clock::now());
    }
  }
}

std::optional<int> Program::ended_from_outside() {
  constexpr int kPowerOff = static_cast<int>(hypervisor::VmEnd::Kind::PowerOff);
  if (debugger_->wants_vm_end()) {
    notice("guest: switched off by the debugger");
    return kPowerOff;
  }
  if (qmp_ && qmp_->wants_vm_end()) {
    notice("guest: switched off by the machine protocol");
    return kPowerOff;
  }
  if (end_key_) {
    notice("guest: switched off from the console");
    return kPowerOff;
  }
  if (!signals_.received().empty()) {
    notice("ringside: ended by {}", signals_.received());
    return kErrorStatus;
  }
  // A debugger that has been told of the end may go back from there.
  if (timeline_->recording_is_over() && !guest_is_stopped_) {
    notice("replay: the recording ends here");
    return kPowerOff;
  }
  return std::nullopt;
}

// What ends is the present, also when the debugger has led the machine into its past: the journal
// has all inputs of the run, and the disks' images have what was written in it.
Result<int> Program::finish(int status, time::JournalEnd::By by) {
  if (travels_) TRY(travels_->return_to_present());
  recordings_->end_all("the machine has ended");
  // The debugger's last packet. An engine with threads may have ended after its events were taken.
  if (by == time::JournalEnd::By::Outside) debugger_->announce_end(status);
  debugger_->settle();
  if (qmp_) tell_shutdown(by == time::JournalEnd::By::Guest);
  constexpr std::chrono::seconds kPatience{1};
  const auto until = time::Timeline::Clock::now() + kPatience;
  while (debugger_->end_waits() && time::Timeline::Clock::now() < until) {
    TRY(poller_.wait(until - time::Timeline::Clock::now()));
    debugger_->settle();
  }
  if (!options_.save.empty()) TRY(save_at_end(by));
  hypervisor::Recordable* const run = engine_->recordable();
  if (run == nullptr) return status;
  if (!timeline_->has_journal() && !log::enabled(log::Level::Debug)) return status;
  const std::uint64_t hash = time::hash_machine(*run, *machine_, ram_);
  notice("state: {} instructions, hash {:016x}", run->total_instructions().value, hash);
  if (const auto incomplete = TRY(timeline_->finish(by, hash))) notice("replay: {}", *incomplete);
  return status;
}

int Program::report_end(const hypervisor::VmEnd& end) {
  using Kind = hypervisor::VmEnd::Kind;
  std::string_view what;
  switch (end.kind) {
    case Kind::Reboot:
      what = "asked for a reboot";
      break;
    case Kind::PowerOff:
      what = "switched itself off";
      break;
    case Kind::Halt:
      what = "halted for good";
      break;
    case Kind::TripleFault:
      what = "ended in a triple fault";
      break;
    case Kind::Error:
      what = "cannot go on";
      break;
    case Kind::DebugExit:
      what = "left through the debug-exit port";
      break;
  }
  notice("guest: {}{}{}", what, end.reason.empty() ? "" : ": ", end.reason);
  if (end.vcpu) write_vcpu_state(*engine_, *end.vcpu);
  if (end.kind == Kind::TripleFault || end.kind == Kind::Error)
    dump_dead(end.vcpu.value_or(VcpuId{0}));
  if (const hypervisor::Recordable* run = engine_->recordable()) {
    log::info("{} instructions, {} ns of virtual time", run->total_instructions().value,
              engine_->now().ns);
  }
  return end.exit_status();
}

Result<void> Program::give_up_rights() {
  const bool soft = engine_->recordable() != nullptr;
  return cli::give_up_rights(options_, outside_,
                             soft ? sandbox::Engine::Soft : sandbox::Engine::Kvm);
}

Result<int> run(const Options& given) {
  Options options = given;
  TRY(prepare_run(options, places_of_this_host()));
  if (!given.against.empty()) return compare_runs(options);
  const std::unique_ptr<sandbox::Outside> outside = TRY(reach_outside(options));
  std::optional<time::SavedMachine> saved;
  if (!given.restore.empty()) {
    saved = TRY(time::SavedMachine::open(given.restore));
    options = TRY(as_saved(options, saved->options()));
  }
  companions::Sockets companions = TRY(start_companions(options));
  Images connected = TRY(connect_disks(options, Access::AsGiven));
  hypervisor::GuestRam ram = TRY(create_memory(options, saved ? &saved->options() : nullptr));
  transport::Poller poller = TRY(transport::Poller::create());
  const auto run_machine = [&]() -> Result<int> {
    Program program(options, *outside, std::move(companions), std::move(connected),
                    saved ? &*saved : nullptr, std::move(ram), std::move(poller));
    TRY(program.greet());
    TRY(program.load());
    TRY(program.build());
    TRY(program.open_clients());
    TRY(program.give_up_rights());
    return program.run_to_end();
  };
  Result<int> status = run_machine();
  outside->end();
  return status;
}

}  // namespace ringside::cli
