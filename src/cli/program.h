// One virtual machine with everything around it: devices' streams, debug server, engine, main loop.
//
// Threads: one, the main thread, which runs the software CPU's slices, the debug server and all
// I/O. An engine with vCPU threads of its own calls only the machine and, through it, the byte
// sinks.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cli/monitor/dump_command.h"
#include "cli/monitor/recordings.h"
#include "cli/monitor/save_command.h"
#include "cli/options/options.h"
#include "cli/qmp/qmp_service.h"
#include "cli/run/gdb_line.h"
#include "cli/start/engines.h"
#include "cli/start/payload.h"
#include "cli/terminal/clients.h"
#include "cli/terminal/console.h"
#include "cli/terminal/host_output.h"
#include "cli/terminal/signals.h"
#include "cli/terminal/silence.h"
#include "cli/terminal/text_display.h"
#include "cli/waiting.h"
#include "companions/device_lines.h"
#include "hypervisor/holdable_vm.h"
#include "machine/boot/boot.h"
#include "machine/machine.h"
#include "machine/storage/block_backend.h"
#include "platform/guest_ram.h"
#include "ringside/debug_endpoint.h"
#include "sandbox/outside.h"
#include "time/history.h"
#include "time/past_disk.h"
#include "time/record/timeline.h"
#include "time/saved/machine_saver.h"
#include "time/saved/saved_machine.h"
#include "time/travels.h"
#include "transport/poller.h"

namespace ringside::cli {

class Program {
 public:
  // `connected`: of connect_disks(). `saved`: the machine to go on with, or null. All of it
  // outlives the program.
  Program(const Options& options, sandbox::Outside& outside, companions::Sockets companions,
          Images connected, const time::SavedMachine* saved, hypervisor::GuestRam ram,
          transport::Poller poller);
  ~Program();

  // In this order, each once.
  Result<void> greet();           // a debugger that is there already
  Result<void> load();            // kernel, firmware or saved memory into memory
  Result<void> build();           // devices and engine
  Result<void> open_clients();    // endpoints; their lines on stderr
  Result<void> give_up_rights();  // what is not open now stays closed
  Result<int> run_to_end();

 private:
  Result<void> serve_greeter();
  Meanwhile while_loading();  // serves the greeter, says how far it is, and ends at a signal
  Result<Payload> read_payload();
  Result<void> open_disks();
  Result<void> say_odd_pair(std::span<const std::byte> firmware) const;
  void keep_kernel_for_firmware(Payload payload);
  bool wants_journal() const { return !options_.record.empty() || !options_.replay.empty(); }
  Result<machine::ByteSink> sink(const Stream& stream, DeviceOutput& endpoint);
  machine::ByteSink sink_into(const std::shared_ptr<HostOutput>& output);
  machine::ByteSink sink_into(DeviceOutput& output);
  // Of a device that speaks bytes: whoever is at the other end of them.
  struct Line {
    DeviceOutput& bytes;
    std::unique_ptr<transport::ClientHandler> handler = nullptr;
    std::unique_ptr<transport::SingleClient> client = nullptr;  // null: there is no endpoint
  };
  Result<void> open_line(Line& line, const transport::Endpoint& endpoint, const std::string& name,
                         DeviceClient::Device device);
  Result<void> open_input(Line& line, const Stream& stream, const std::string& name,
                          std::function<std::size_t()> room,
                          std::function<void(std::span<const std::byte>)> receive);
  const std::shared_ptr<HostOutput>& standard_output();
  void open_display();
  void settle_streams();
  void say_when_silent();
  void give_random_numbers();
  struct Journal {
    time::RunStart start;
    std::optional<time::JournalWriter> writer;
    std::optional<time::JournalReader> reader;
  };
  Result<Journal> open_journal();
  std::int64_t wanted_date() const;
  Result<void> check_date(std::int64_t recorded) const;
  Admission admission() const { return {options_.gdb_allow, {}, "--gdb-allow any"}; }
  Admission admission_by_vsock() const {
    return {options_.gdb_allow, {}, "--gdb-allow any, which goes for --vsock too,"};
  }
  Result<std::string> begin_to_listen(std::string_view endpoint);
  void listen_at_a_signal();
  void say_where_debugger_is() const;
  void say_how_to_attach() const;
  void obey_keys();
  void stop_for_debugger();
  Result<std::unique_ptr<transport::SingleClient>> listen(const transport::Endpoint& endpoint,
                                                          const std::string& name,
                                                          transport::ClientHandler& handler);
  companions::DeviceLines::Guest lines_to_guest();
  void note(const Result<void>& result);
  Slice run_slice();
  void settle();
  Result<std::string> reset_machine();
  Result<void> reset_as_recorded();
  Result<void> open_qmp();
  Result<void> press_power_button();
  void tell_of_sleep();
  Result<void> wake_guest();  // by the power button
  // A file is made of the guest, slice by slice, and is to be of one moment.
  std::optional<std::string> why_still() const;
  Result<void> refuse_while_still() const;
  time::Position moment() const;
  void tell_shutdown(bool by_guest);
  std::string_view reason_of_shutdown(bool by_guest) const;
  Result<Payload> read_payload_again();
  Result<void> power_on(Payload payload);
  int report_end(const hypervisor::VmEnd& end);
  // Nothing while the machine goes on; else the exit status.
  std::optional<int> ended_from_outside();
  Result<int> finish(int status, time::JournalEnd::By by);
  Result<void> open_directories();
  Folder& folder(sandbox::FolderOf which) const { return outside_.folder(which); }
  time::SavePlace save_place() const;
  bool has_debugcon() const;
  bool has_console() const;
  bool has_keyboard() const;
  bool has_text_card() const;
  bool has_guest_gdb() const;
  bool has_firmware() const;
  SaveSubjects save_subjects();
  Result<void> save_at_end(time::JournalEnd::By by);
  DumpPlace dump_place() const;
  guests::CoreSubject core_subject(VcpuId first) const;
  void dump_dead(VcpuId vcpu);
  std::uint64_t history_limit() const;
  void keep_history();
  bool in_past() const { return travels_ && travels_->in_past(); }
  std::string why_no_branch() const;
  void add_monitor_commands(debug::ServerOptions& server);

  const Options& options_;
  sandbox::Outside& outside_;
  Images connected_;  // until the disks are opened
  const time::SavedMachine* saved_;
  transport::Poller poller_;
  EndSignals signals_;
  hypervisor::GuestRam ram_;
  machine::BootResult boot_;
  std::size_t firmware_size_ = 0;
  Payload firmware_kernel_;  // the kernel that firmware is to start, if there is one
  GdbFiles gdb_files_;
  std::string video_bios_;
  std::uint64_t content_ = 0;       // only with a journal
  std::uint64_t payload_hash_ = 0;  // the same of the files that a reset loads again
  Images disks_;                    // and the firmware's variables
  std::vector<std::shared_ptr<time::PastDisk>> past_disks_;  // the same, where there is a past
  bool is_dumped_ = false;                                   // for --dump-on-panic

  std::shared_ptr<HostOutput> stdout_;
  std::vector<std::shared_ptr<HostOutput>> outputs_;
  Silence silence_;
  DeviceOutput serial_bytes_{poller_}, guest_gdb_bytes_{poller_}, console_bytes_{poller_};

  companions::DeviceLines lines_;

  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<hypervisor::Engine> engine_;
  hypervisor::Processor processor_ = hypervisor::Processor::V2;  // of the software CPU
  std::unique_ptr<Recordings> recordings_;
  std::unique_ptr<time::Timeline> timeline_;
  // The engine as the debugger sees it: with a keyboard, which may stop the guest, and with --qmp
  // on top of that.
  std::unique_ptr<hypervisor::HoldableVm> stopped_by_key_;
  std::unique_ptr<hypervisor::HoldableVm> holdable_;
  std::unique_ptr<DebugEndpoint> debugger_;  // there without -G too, and listens nowhere then
  std::unique_ptr<QmpService> qmp_;

  Line guest_gdb_{guest_gdb_bytes_}, serial_{serial_bytes_}, console_{console_bytes_};
  std::unique_ptr<Console> keyboard_;
  bool end_key_ = false;  // Ctrl-A x
  machine::Sleep told_sleep_ = machine::Sleep::Awake;
  std::unique_ptr<TextDisplay> display_;    // null without --vga
  std::unique_ptr<time::History> history_;  // null: there is no past
  std::unique_ptr<time::Travels> travels_;
  bool guest_is_stopped_ = false;  // and a debugger knows it; kept where there is a past
  bool past_is_over_ = false;      // a replay has reset the machine
  std::optional<Error> failure_;   // of something that happened inside a callback
};

}  // namespace ringside::cli
