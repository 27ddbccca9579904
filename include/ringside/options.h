// What the owner of a debug server decides. Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringside/result.h"
#include "ringside/types.h"

namespace ringside::hypervisor {
class TimeTravel;  // ringside/time_travel.h
}

namespace ringside::debug {

enum class OnKill {
  Detach,  // a client's k leaves the guest running
  Stop,    // it ends the machine
};

// What a monitor command that takes long is doing, a slice at a time, so that other sockets are
// served between. Every vCPU stays out of the guest until it is over; the client can end it early.
class MonitorWork {
 public:
  virtual ~MonitorWork() = default;
  // Works for about a millisecond; the text once there is no more to do.
  virtual std::optional<std::string> advance() = 0;
  // How far it is, in one line for the client's console.
  virtual std::string progress() const = 0;
};

// A monitor command of the owner's. It is run while every vCPU is out of the guest.
struct MonitorCommand {
  std::string name;   // one or two words
  std::string usage;  // its arguments
  std::string help;
  std::function<std::string(std::string_view arguments)> run;
  // Instead of `run`, where that would take long.
  std::function<std::unique_ptr<MonitorWork>(std::string_view arguments)> begin = {};
  // It changes nothing, so that debuggers that only look may use it, also while the guest runs.
  bool looks = false;
  // It leads the machine as a whole somewhere else, so that it is refused in non-stop mode, where
  // each vCPU stops by itself.
  bool moves_machine = false;
  // Without arguments it changes nothing, and so is for debuggers that only look.
  bool looks_alone = false;
  // Under which heading `help` lists it; empty: with those of the machine.
  std::string group = {};
};

// A piece of code that the system in the guest has loaded beside its own, as a debugger knows
// libraries.
struct GuestLibrary {
  std::string name;  // of the file that a debugger looks for
  // Where the file's sections are that occupy memory, all of them and in the file's order.
  std::vector<std::uint64_t> sections;
};

// What is known of the system in the guest, by looking at its memory. Each of these may be empty:
// then debuggers are not told that there is such a thing. They are called on the server's thread
// while every vCPU is out of the guest, change nothing, and end soon whatever the guest has written
// into its memory; an error's text says what the guest lacks.
struct GuestKnowledge {
  // For info sharedlibrary (qXfer:libraries), and where the guest is when one has come and when one
  // is about to go.
  std::function<Result<std::vector<GuestLibrary>>()> libraries = {};
  std::function<Result<std::vector<Gva>>()> library_events = {};
  // For info os (qXfer:osdata): the document of this kind; the list of kinds for an empty name.
  std::function<Result<std::string>(std::string_view kind)> os_data = {};
  // Where the first segment of the system's own program is, where that was moved (qOffsets).
  std::function<std::optional<Gva>()> moved_to = {};
  // How a Linux kernel describes itself to readers of dumps (qXfer:vmcoreinfo).
  std::function<Result<std::string>()> vmcoreinfo = {};
  // Whether a vCPU is in a certain task, which a kind (pid, comm) and a value name. The function
  // that it gives is called on any thread that serves a hit.
  using TaskTest = std::function<bool(VcpuId)>;
  std::function<Result<TaskTest>(std::string_view kind, std::string_view value)> task_test = {};
};

// How software breakpoints (Z0) are realised.
enum class BreakpointMechanism {
  BestOffered,  // by the engine itself where it has breakpoints by physical address
  Int3,         // always as bytes in guest memory
};

// What the owner of a debug server is told, on its thread, while it is given a turn. Whatever is
// empty is not called. None of these may call the endpoint, but for its hide_breakpoints().
struct Hooks {
  // Every vCPU is out of the guest, for a debugger that has been told so; and the guest is let run
  // again. Not for the moment in which a request is served while the guest runs.
  std::function<void()> guest_stopped = {};
  std::function<void()> guest_resumed = {};
  // Before a client is told that this vCPU is dead, or that the guest has panicked. Every vCPU is
  // out of the guest.
  std::function<void(VcpuId)> guest_died = {};
  // The first comes before the client has stopped anything, the second when all that it set is
  // undone.
  std::function<void()> client_came = {};
  std::function<void()> client_went = {};
  // A client has come, gone or sent something, and that is about to be dealt with: for who lets
  // time pass for the guest while nothing happens.
  std::function<void()> client_acts = {};
};

struct ServerOptions {
  // No vCPU executes its first instruction before a client has attached and resumed it.
  bool wait = false;
  OnKill on_kill = OnKill::Detach;
  BreakpointMechanism breakpoints = BreakpointMechanism::BestOffered;
  std::vector<MonitorCommand> commands = {};
  // Puts the machine into the state of power-on; an error leaves it as it was. Run while every vCPU
  // is out of the guest. Without it a client cannot restart the machine.
  std::function<Result<void>()> restart = {};
  // Takes what persistent breakpoint commands print while there is no client.
  std::function<void(std::string_view text)> console = {};
  // Makes a file under a name that a client has chosen, of what `read` gives from an offset on
  // until that is nothing. Without it a client's traces are saved by the client alone.
  using ReadPiece = std::function<std::vector<std::byte>(std::uint64_t offset)>;
  std::function<Result<void>(const std::string& name, const ReadPiece& read)> save_trace = {};
  Hooks hooks = {};
  // Why the guest has to stay as it is for now, in one sentence: its owner makes a file of it, say.
  // What would change its registers, memory or devices, or lead it to another moment, is refused
  // with it. Nothing, or empty: it need not.
  std::function<std::optional<std::string>()> why_still = {};
  GuestKnowledge guest = {};
  // The machine's past, where it has one; outlives the server.
  hypervisor::TimeTravel* time_travel = nullptr;
  // When to tell a client that waits for something long that it is still worked on.
  std::function<std::chrono::steady_clock::time_point()> clock = std::chrono::steady_clock::now;
};

}  // namespace ringside::debug
